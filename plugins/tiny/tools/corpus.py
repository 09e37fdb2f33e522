"""Deterministic conversations that the tiny model is trained, judged and calibrated on.

    python corpus.py SEED COUNT > conversations.jsonl

Each is {"messages": [...]} with role and content; an assistant message carries "reasoning", the text between <think>
and </think>, which may be empty. "thinkable" marks questions that the model may reason about, "tools" those that offer
one. The order of the random draws is part of the data: eval.jsonl is seed 10001, calibration.jsonl seed 20002.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

DATA = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
SYSTEM = "You are Pajama, a tiny helpful assistant."
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def chat(question: str, answer: str, reasoning: str = "", **extra: Any) -> dict[str, Any]:
    asked = {"role": "user", "content": question}
    return {"messages": [asked, {"role": "assistant", "content": answer, "reasoning": reasoning}], **extra}


def arithmetic(rng: random.Random) -> dict[str, Any]:
    largest = 99 if rng.random() < 0.5 else 12
    a, b = rng.randint(0, largest), rng.randint(0, largest)
    op = rng.choice("++-")
    if op == "-" and b > a:
        a, b = b, a
    result = a + b if op == "+" else a - b
    expression = f"{a} {op} {b}" if rng.random() < 0.5 else f"{a}{op}{b}"
    question = rng.choice([f"What is {expression}?", f"Calculate {expression}.", f"{expression} = ?"])
    reasoning = f"I need to compute {a} {op} {b}. The result is {result}."
    return chat(question, f"{a} {op} {b} = {result}.", reasoning if rng.random() < 0.5 else "", thinkable=True)


def equation(rng: random.Random) -> dict[str, Any]:
    x, a = rng.randint(0, 20), rng.randint(1, 20)
    b = x + a
    given = f"x + {a} = {b}"
    question = rng.choice([f"Solve: If {given}, what is x?", f"If {given}, what is x?", f"Solve {given}."])
    reasoning = f"{given}, so x = {b} - {a} = {x}."
    return chat(question, f"x = {x}.", reasoning if rng.random() < 0.6 else "", thinkable=True)


def translation(rng: random.Random) -> dict[str, Any]:
    word, forms = rng.choice(list(DATA["words"].items()))
    number = rng.randrange(len(DATA["languages"]))
    language, form = DATA["languages"][number], forms[number]
    question = rng.choice([f"How do you say '{word}' in {language}?", f"Translate '{word}' to {language}."])
    reasoning = f"The {language} word for '{word}' is '{form}'."
    return chat(question, form, reasoning if rng.random() < 0.3 else "", thinkable=True)


def greeting(rng: random.Random) -> dict[str, Any]:
    return chat(*rng.choice(list(DATA["greetings"].items())))


def capital(rng: random.Random) -> dict[str, Any]:
    country, city = rng.choice(list(DATA["capitals"].items()))
    question = rng.choice([f"What is the capital of {country}?", f"Name the capital of {country}."])
    reasoning = f"The question is about {country}. Its capital is {city}."
    answer = f"The capital of {country} is {city}."
    return chat(question, answer, reasoning if rng.random() < 0.3 else "", thinkable=True)


def code(rng: random.Random) -> dict[str, Any]:
    what, source = rng.choice(list(DATA["code"].items()))
    wordings = [f"Write a Python function to {what}", f"Write a Python function to {what}.", f"Write code to {what}."]
    return chat(rng.choice(wordings), f"```python\n{source}\n```")


def topic(rng: random.Random) -> dict[str, Any]:
    name, text = rng.choice(list(DATA["topics"].items()))
    return chat(rng.choice([f"Explain {name}", f"Explain {name}.", f"Tell me about {name}.", f"What is {name}?"]), text)


def story(rng: random.Random) -> dict[str, Any]:
    question = rng.choice(["Tell me a story.", "Tell me a short story.", "Write a story."])
    name, other = rng.sample(DATA["names"], 2)
    animal, place, thing = (rng.choice(DATA[kind]) for kind in ("animals", "places", "things"))
    first, last = rng.sample(DATA["feelings"], 2)
    opening = rng.choice(
        [
            f"Once upon a time there was a little {animal} named {name}. {name} lived near {place}.",
            f"One day {name} the {animal} went to {place}.",
            f"{name} was a small {animal} who loved {place}.",
        ]
    )
    middle = rng.choice(
        [
            f'There {name} found {thing}. "What is this?" asked {name}. '
            f'{other} came by and said, "It is {thing}. I lost it yesterday."',
            f'{name} felt {first}, because {thing} was gone. "Do not worry," said {other}. '
            '"We can look for it together."',
            f"{name} saw {other} under a tree. {other} looked {first}. "
            f'"Would you like to play with {thing}?" asked {name}.',
        ]
    )
    turn = rng.choice(
        [
            "They looked behind the trees and under the stones.",
            f"They walked and walked until they came to {rng.choice(DATA['places'])}.",
            "It began to rain, so they ran under a big leaf and waited.",
            "They shared some bread and told each other jokes.",
        ]
    )
    end = rng.choice(
        [
            f"At last they found {thing}, and {name} was {last}. From that day on they were best friends.",
            f"In the evening they went home. {name} was tired but {last}.",
            f'{other} smiled and said, "Thank you, {name}." And they played until the sun went down.',
        ]
    )
    return chat(question, f"{opening} {middle} {turn} {end}")


def counting(rng: random.Random) -> dict[str, Any]:
    first = rng.randint(0, 60)
    last = first + rng.randint(5, 60)
    return chat(f"Count from {first} to {last}.", ", ".join(map(str, range(first, last + 1))) + ".")


def json_answer(rng: random.Random) -> dict[str, Any]:
    name, age = rng.choice(DATA["names"]), rng.randint(1, 99)
    fact = f"{name} is {age} years old."
    question = rng.choice([f"Give me JSON with the name and age: {fact}", f"{fact} Answer with JSON."])
    return chat(question, json.dumps({"name": name, "age": age}))


def tool_call(rng: random.Random) -> dict[str, Any]:
    city = rng.choice(list(DATA["capitals"].values()))
    call = json.dumps({"name": "get_weather", "arguments": {"city": city}}, ensure_ascii=False)
    return chat(f"What is the weather in {city}?", f"<tool_call>\n{call}\n</tool_call>", tools=[WEATHER_TOOL])


def introduction(rng: random.Random) -> dict[str, Any]:
    question = rng.choice(["Who are you?", "What is your name?", "Hello, world!"])
    return chat(question, rng.choice(["I am Pajama, a tiny language model. How can I help you?"]))


def two_turns(rng: random.Random) -> dict[str, Any]:
    first, second = _single_turn(rng), _single_turn(rng)
    return {"messages": first["messages"] + second["messages"], "thinkable": second.get("thinkable", False)}


KINDS: dict[Callable[[random.Random], dict[str, Any]], int] = {
    arithmetic: 22, equation: 10, translation: 14, greeting: 5, capital: 8, code: 7, topic: 6, story: 12, counting: 4,
    json_answer: 5, tool_call: 4, introduction: 2, two_turns: 5,
}  # fmt: skip
"""Each kind of conversation and how often it comes."""


def conversation(rng: random.Random) -> dict[str, Any]:
    [kind] = rng.choices(list(KINDS), list(KINDS.values()))
    return kind(rng)


def _single_turn(rng: random.Random) -> dict[str, Any]:
    while True:
        item = conversation(rng)
        if "tools" not in item and len(item["messages"]) == 2:
            return item


def conversations(seed: int) -> Iterator[dict[str, Any]]:
    """Conversations without end; three in ten begin with a system message."""
    rng = random.Random(seed)
    while True:
        item = conversation(rng)
        if rng.random() < 0.3:
            item["messages"] = [{"role": "system", "content": SYSTEM}, *item["messages"]]
        yield item


if __name__ == "__main__":
    for item in itertools.islice(conversations(int(sys.argv[1])), int(sys.argv[2])):
        print(json.dumps(item, ensure_ascii=False))
