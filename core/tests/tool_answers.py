"""Answers that call tools, in every format: how each is read, whole or cut anywhere. Taken up by `chat_answers`."""

from __future__ import annotations

from pajamas.chat.formats import ToolFormat

HERMES, CODER, LLAMA, MISTRAL, HARMONY = ToolFormat
CODER_CALL = "<tool_call>\n<function=f>\n<parameter=n>\n3\n</parameter>\n</function>\n</tool_call>"

TOOL_CASES = {
    # Hermes
    "hermes": (
        HERMES,
        '<think>\nHm\n</think>\n\nLet me.\n<tool_call>\n{"name": "f", "arguments": {"a": 1.50}}\n</tool_call>\n'
        '<tool_call>{"arguments": {}, "name": "g", "id": "mine"}</tool_call>\nDone. ',
        {},
        ("Hm", "Let me.Done. ", [("f", '{"a": 1.50}', "id0"), ("g", "{}", "mine")]),
    ),
    "hermes tags in arguments": (
        HERMES,
        '<tool_call>{"name":"f","arguments":{"s":"a \\" </tool_call> <tool_call> {"}}</tool_call>',
        {},
        ("", "", [("f", '{"s":"a \\" </tool_call> <tool_call> {"}', "id0")]),
    ),
    "hermes arguments as text": (
        HERMES,
        '<tool_call>{"name": "f", "arguments": "{\\"a\\": 1}"}</tool_call>',
        {},
        ("", "", [("f", '{"a": 1}', "id0")]),
    ),
    "hermes no arguments": (HERMES, '<tool_call>{"name": "f"}</tool_call>', {}, ("", "", [("f", "{}", "id0")])),
    "hermes bad, then good": (
        HERMES,
        '<tool_call>{"name": f}</tool_call>\n<tool_call>{"name": "g"}</tool_call>',
        {},
        ("", '<tool_call>{"name": f}</tool_call>', [("g", "{}", "id0")]),
    ),
    "hermes open string, then good": (
        HERMES,
        '<tool_call>{"name": "f</tool_call><tool_call>{"name": "g"}</tool_call>x',
        {},
        ("", '<tool_call>{"name": "f</tool_call>x', [("g", "{}", "id0")]),
    ),
    "hermes unclosed": (
        HERMES,
        'Hm \n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_cal',
        {},
        ("", 'Hm \n<tool_call>\n{"name": "f", "arguments": {}}\n</tool_cal', []),
    ),
    "hermes null arguments": (
        HERMES,
        '<tool_call>{"name": "f", "arguments": null}</tool_call>',
        {},
        ("", "", [("f", "{}", "id0")]),
    ),
    "hermes list of arguments": (
        HERMES,
        '<tool_call>{"name": "f", "arguments": [1]}</tool_call>',
        {},
        ("", '<tool_call>{"name": "f", "arguments": [1]}</tool_call>', []),
    ),
    "hermes two values": (
        HERMES,
        '<tool_call>{"name": "f", "arguments": "{} {}"}{}</tool_call>',
        {},
        ("", '<tool_call>{"name": "f", "arguments": "{} {}"}{}</tool_call>', []),
    ),
    "hermes twice a key": (
        HERMES,
        '<tool_call>{"name": "f", "name": "g"}</tool_call>',
        {},
        ("", '<tool_call>{"name": "f", "name": "g"}</tool_call>', []),
    ),
    "hermes NaN": (
        HERMES,
        '<tool_call>{"name": "f", "arguments": {"x": NaN}}</tool_call>',
        {},
        ("", '<tool_call>{"name": "f", "arguments": {"x": NaN}}</tool_call>', []),
    ),
    "hermes much space": (HERMES, "a" + " " * 200 + "b" + "\n" * 100, {}, ("", "a" + " " * 200 + "b" + "\n" * 100, [])),
    # Qwen3-Coder
    "coder": (
        CODER,
        f"Now.\n\n{CODER_CALL}\n{CODER_CALL}",
        {},
        ("", "Now.", [("f", '{"n": 3}', f"id{i}") for i in (0, 1)]),
    ),
    "coder types": (
        CODER,
        "<tool_call>\n<function=f>\n"
        + "".join(
            f"<parameter={key}>\n{value}\n</parameter>\n"
            for key, value in {
                "n": "7.0",
                "x": "1e3",
                "b": "True",
                "s": "5",
                "o": '{"a": [1]}',
                "l": "[]",
                "maybe": "null",
                "both": "None",
                "unknown": "6",
            }.items()
        )
        + "</function>\n</tool_call>",
        {},
        (
            "",
            "",
            [
                (
                    "f",
                    '{"n": 7, "x": 1000.0, "b": true, "s": "5", "o": {"a": [1]}, "l": [], "maybe": null, "both": null,'
                    ' "unknown": "6"}',
                    "id0",
                )
            ],
        ),
    ),
    "coder does not fit its type": (
        CODER,
        "<tool_call><function=f><parameter=n>many</parameter><parameter=x>1e999</parameter></function></tool_call>",
        {},
        ("", "", [("f", '{"n": "many", "x": "1e999"}', "id0")]),
    ),
    "coder, numbers in an object": (
        CODER,
        '<tool_call><function=f><parameter=o>{"a": 1e999}</parameter><parameter=n>true</parameter>'
        "</function></tool_call>",
        {},
        ("", "", [("f", '{"o": "{\\"a\\": 1e999}", "n": "true"}', "id0")]),
    ),
    "coder text about tags": (
        CODER,
        "<tool_call>\n<function=g>\n<parameter=s>\n\n a</function>\n</tool_call>\nb \n\n</parameter>\n"
        "</function>\n</tool_call>",
        {},
        ("", "", [("g", '{"s": "\\n a</function>\\n</tool_call>\\nb \\n"}', "id0")]),
    ),
    "coder without opener": (
        CODER,
        "Now <function=g>\n</function>\n</tool_call> then <function=g></function> end",
        {},
        ("", "Nowthenend", [("g", "{}", "id0"), ("g", "{}", "id1")]),
    ),
    "coder malformed": (
        CODER,
        f"<tool_call><function=f><parameter=n>3</function></tool_call>{CODER_CALL}",
        {},
        ("", f"<tool_call><function=f><parameter=n>3</function></tool_call>{CODER_CALL}", []),
    ),
    "coder no function": (
        CODER,
        f"<tool_call>f()</tool_call>{CODER_CALL}",
        {},
        ("", "<tool_call>f()</tool_call>", [("f", '{"n": 3}', "id0")]),
    ),
    "coder unclosed": (CODER, CODER_CALL[:-1], {}, ("", CODER_CALL[:-1], [])),
    # Llama 3.1
    "llama": (
        LLAMA,
        '{"name": "f", "parameters": {"s": "} \\" {"}}; {"type": "function", "name": "g", "parameters": {}}',
        {},
        ("", "", [("f", '{"s": "} \\" {"}', "id0"), ("g", "{}", "id1")]),
    ),
    "llama tag": (
        LLAMA,
        'Now: <|python_tag|> {"name": "other", "arguments": {"a": 1}}\nDone',
        {},
        ("", "Now: Done", [("other", '{"a": 1}', "id0")]),
    ),
    "llama built-in": (
        LLAMA,
        '<|python_tag|>brave_search.call(query="a, \\"b\\"", n=3)',
        {},
        ("", "", [("brave_search", '{"query": "a, \\"b\\"", "n": 3}', "id0")]),
    ),
    "llama built-in, all constants": (
        LLAMA,
        '<|python_tag|> f.call(a = "C:\\d", b=True, c=None, d=[1], e = 1.5)',
        {},
        ("", "", [("f", '{"a": "C:\\\\d", "b": true, "c": null, "d": [1], "e": 1.5}', "id0")]),
    ),
    "llama built-in, nothing": (LLAMA, "<|python_tag|>f.call()", {}, ("", "", [("f", "{}", "id0")])),
    "llama built-in, two calls": (
        LLAMA,
        "<|python_tag|>f.call(a=1)(b=2)",
        {},
        ("", "<|python_tag|>f.call(a=1)(b=2)", []),
    ),
    "llama built-in, not a constant": (
        LLAMA,
        "<|python_tag|>f.call(x=open('a'))",
        {},
        ("", "<|python_tag|>f.call(x=open('a'))", []),
    ),
    "llama code": (LLAMA, "<|python_tag|>import os\nf.call()", {}, ("", "<|python_tag|>import os\nf.call()", [])),
    "llama JSON answer": (LLAMA, ' {"answer": {"name": "f"}} ', {}, ("", ' {"answer": {"name": "f"}} ', [])),
    "llama no such tool": (LLAMA, '{"name": "Bob", "age": 3}', {}, ("", '{"name": "Bob", "age": 3}', [])),
    "llama JSON in text": (
        LLAMA,
        'So {"name": "f", "parameters": {}}',
        {},
        ("", 'So {"name": "f", "parameters": {}}', []),
    ),
    "llama unclosed": (LLAMA, '{"name": "f", "parameters": {}', {}, ("", '{"name": "f", "parameters": {}', [])),
    "llama text after": (LLAMA, '{"name": "f"}\n\n; ok', {}, ("", "; ok", [("f", "{}", "id0")])),
    # Mistral
    "mistral": (
        MISTRAL,
        'Now [TOOL_CALLS][{"name": "f", "arguments": {"s": "]}"}, "id": "abcdefghi"}, {"name": "g"}]ok',
        {},
        ("", "Nowok", [("f", '{"s": "]}"}', "abcdefghi"), ("g", "{}", "id0")]),
    ),
    "mistral with names": (
        MISTRAL,
        '[TOOL_CALLS]f[ARGS]{"a": {"b": 1}}[TOOL_CALLS]g[CALL_ID]abcdefghi[ARGS]{}[TOOL_CALLS]ns.h-2{"c": []}',
        {},
        ("", "", [("f", '{"a": {"b": 1}}', "id0"), ("g", "{}", "abcdefghi"), ("ns.h-2", '{"c": []}', "id1")]),
    ),
    "mistral one object": (
        MISTRAL,
        '[TOOL_CALLS] {"name": "f", "arguments": {}}',
        {},
        ("", "", [("f", "{}", "id0")]),
    ),
    "mistral bad": (
        MISTRAL,
        '[TOOL_CALLS][{"name": "f"}, 3] [TOOL_CALLS] what is this? [TOOL_CALLS]f[ARGS]{bad}',
        {},
        ("", '[TOOL_CALLS][{"name": "f"}, 3] [TOOL_CALLS] what is this? [TOOL_CALLS]f[ARGS]{bad}', []),
    ),
    "mistral long name": (MISTRAL, "[TOOL_CALLS]" + "n" * 300 + "{}", {}, ("", "[TOOL_CALLS]" + "n" * 300 + "{}", [])),
    "mistral unclosed": (MISTRAL, "[TOOL_CALLS]f[ARGS]", {}, ("", "[TOOL_CALLS]f[ARGS]", [])),
    # gpt-oss
    "harmony": (
        HARMONY,
        "<|channel|>analysis<|message|>Hm <b>\n<|end|><|start|>assistant<|channel|>final<|message|>Hi<|return|>",
        {},
        ("Hm <b>\n", "Hi", []),
    ),
    "harmony call": (
        HARMONY,
        "<|channel|>analysis<|message|>Hm<|end|><|start|>assistant<|channel|>commentary<|message|>Wait.<|end|>"
        '<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>'
        "<|start|>assistant to=functions.g<|channel|>commentary json<|message|>{}",
        {},
        ("Hm", "Wait.", [("f", '{"a": 1}', "id0"), ("g", "{}", "id1")]),
    ),
    "harmony as the template writes": (
        HARMONY,
        ' to=functions.f<|channel|>commentary json<|message|>{"a": "<|"}<|call|>',
        {},
        ("", "", [("f", '{"a": "<|"}', "id0")]),
    ),
    "harmony several messages": (
        HARMONY,
        "<|channel|>analysis<|message|>A<|end|><|start|>assistant<|channel|>analysis<|message|>B"
        "<|channel|>final<|message|>C",
        {},
        ("A\nB", "C", []),
    ),
    "harmony bad arguments": (
        HARMONY,
        "<|channel|>commentary to=functions.f<|message|>{bad<|call|>",
        {},
        ("", "<|channel|>commentary to=functions.f<|message|>{bad<|call|>", []),
    ),
    "harmony not spoken": (HARMONY, "Just text. <|x", {}, ("", "Just text. <|x", [])),
    "harmony endless header": (
        HARMONY,
        "<|channel|>" + "x" * 300,
        {},
        ("", "<|channel|>" + "x" * 300, []),
    ),
    "harmony cut off": (HARMONY, "<|channel|>final<|message|>Hi<|en", {}, ("", "Hi<|en", [])),
    "harmony cut off in a header": (HARMONY, "<|channel|>fin", {}, ("", "<|channel|>fin", [])),
}
