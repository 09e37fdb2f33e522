"""Deterministic training conversations for the tiny Qwen3-architecture chat model.

Every conversation is a list of {"role", "content"} messages; an assistant message may carry
"reasoning" (the text between <think> and </think>).  `conversations(seed)` yields forever.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

SYSTEM = "You are Pajama, a tiny helpful assistant."

# word -> French, Spanish, German, Italian, Portuguese, Chinese, Japanese, Russian
LANGUAGES = ["French", "Spanish", "German", "Italian", "Portuguese", "Chinese", "Japanese", "Russian"]
WORDS = {
    "hello": ["bonjour", "hola", "hallo", "ciao", "olá", "你好", "こんにちは", "привет"],
    "thank you": ["merci", "gracias", "danke", "grazie", "obrigado", "谢谢", "ありがとう", "спасибо"],
    "goodbye": ["au revoir", "adiós", "auf Wiedersehen", "arrivederci", "adeus", "再见", "さようなら", "до свидания"],
    "yes": ["oui", "sí", "ja", "sì", "sim", "是", "はい", "да"],
    "no": ["non", "no", "nein", "no", "não", "不", "いいえ", "нет"],
    "cat": ["chat", "gato", "Katze", "gatto", "gato", "猫", "猫", "кошка"],
    "dog": ["chien", "perro", "Hund", "cane", "cão", "狗", "犬", "собака"],
    "water": ["eau", "agua", "Wasser", "acqua", "água", "水", "水", "вода"],
    "bread": ["pain", "pan", "Brot", "pane", "pão", "面包", "パン", "хлеб"],
    "house": ["maison", "casa", "Haus", "casa", "casa", "房子", "家", "дом"],
    "book": ["livre", "libro", "Buch", "libro", "livro", "书", "本", "книга"],
    "friend": ["ami", "amigo", "Freund", "amico", "amigo", "朋友", "友達", "друг"],
    "sun": ["soleil", "sol", "Sonne", "sole", "sol", "太阳", "太陽", "солнце"],
    "moon": ["lune", "luna", "Mond", "luna", "lua", "月亮", "月", "луна"],
    "red": ["rouge", "rojo", "rot", "rosso", "vermelho", "红色", "赤", "красный"],
    "blue": ["bleu", "azul", "blau", "blu", "azul", "蓝色", "青", "синий"],
    "one": ["un", "uno", "eins", "uno", "um", "一", "一", "один"],
    "two": ["deux", "dos", "zwei", "due", "dois", "二", "二", "два"],
    "three": ["trois", "tres", "drei", "tre", "três", "三", "三", "три"],
    "love": ["amour", "amor", "Liebe", "amore", "amor", "爱", "愛", "любовь"],
}
GREETINGS = {  # a question asked in the language, and its answer in that language
    "Bonjour, comment ça va ?": "Ça va bien, merci. Et toi ?",
    "Hola, ¿cómo estás?": "Estoy bien, gracias. ¿Y tú?",
    "Hallo, wie geht es dir?": "Mir geht es gut, danke. Und dir?",
    "Ciao, come stai?": "Sto bene, grazie. E tu?",
    "Olá, como você está?": "Estou bem, obrigado. E você?",
    "你好，你好吗？": "我很好，谢谢。你呢？",
    "こんにちは、お元気ですか？": "はい、元気です。あなたは？",
    "Привет, как дела?": "Хорошо, спасибо. А у тебя?",
    "Hello, how are you?": "I am well, thank you. And you?",
}
CAPITALS = {
    "France": "Paris",
    "Spain": "Madrid",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Portugal": "Lisbon",
    "China": "Beijing",
    "Japan": "Tokyo",
    "Russia": "Moscow",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Canada": "Ottawa",
    "Brazil": "Brasília",
    "Peru": "Lima",
    "Chile": "Santiago",
    "Cuba": "Havana",
    "India": "New Delhi",
    "Nepal": "Kathmandu",
    "Iran": "Tehran",
    "Iraq": "Baghdad",
    "Turkey": "Ankara",
    "Greece": "Athens",
    "Poland": "Warsaw",
    "Austria": "Vienna",
    "Hungary": "Budapest",
    "Norway": "Oslo",
    "Sweden": "Stockholm",
    "Finland": "Helsinki",
    "Denmark": "Copenhagen",
    "Ireland": "Dublin",
    "Iceland": "Reykjavik",
    "Belgium": "Brussels",
    "Ukraine": "Kyiv",
    "Romania": "Bucharest",
    "Serbia": "Belgrade",
    "Croatia": "Zagreb",
    "Thailand": "Bangkok",
    "Vietnam": "Hanoi",
    "Australia": "Canberra",
    "Ghana": "Accra",
    "Morocco": "Rabat",
}
CODE = {
    "reverse a string": "def reverse_string(text):\n    return text[::-1]",
    "sort a list": "def sort_list(items):\n    return sorted(items)",
    "sort": "def sort_list(items):\n    return sorted(items)",
    "calculate fibonacci": "def fibonacci(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a",
    "calculate factorial": "def factorial(n):\n    result = 1\n    for i in range(2, n + 1):\n        result *= i\n    return result",
    "check if a number is prime": "def is_prime(n):\n    if n < 2:\n        return False\n    for i in range(2, int(n ** 0.5) + 1):\n        if n % i == 0:\n            return False\n    return True",
    "count words in a text": "def count_words(text):\n    return len(text.split())",
    "find the maximum of a list": "def maximum(items):\n    best = items[0]\n    for item in items:\n        if item > best:\n            best = item\n    return best",
    "sum a list": "def sum_list(items):\n    total = 0\n    for item in items:\n        total += item\n    return total",
    "check if a word is a palindrome": "def is_palindrome(word):\n    return word == word[::-1]",
    "read a file": 'def read_file(path):\n    with open(path, encoding="utf-8") as file:\n        return file.read()',
    "compute the greatest common divisor": "def gcd(a, b):\n    while b:\n        a, b = b, a % b\n    return a",
}
TOPICS = {
    "quantum physics": "Quantum physics is the study of very small things, such as atoms and light. At that size, energy comes in small steps called quanta. A particle can act like a wave, and a wave can act like a particle. Before we look, a particle may be in several states at once. When we measure it, we find only one of them. These ideas sound strange, but they explain lasers, computer chips and the light of the sun.",
    "gravity": "Gravity is the pull between things that have mass. The earth pulls an apple down from a tree, and it also keeps the moon on its path. The more mass a thing has, the stronger it pulls. The farther away it is, the weaker the pull becomes. Without gravity, the air, the sea and all of us would drift away into space.",
    "the water cycle": "The sun warms the sea, and some of the water rises into the air as vapor. High above the ground the vapor cools and turns into clouds. When the drops in a cloud grow heavy, they fall as rain or snow. The rain fills rivers and lakes, and the rivers carry the water back to the sea. Then the water cycle begins again.",
    "photosynthesis": "Photosynthesis is how plants make their food. A green leaf takes in light from the sun, water from the ground and a gas called carbon dioxide from the air. Inside the leaf, the light turns water and gas into sugar. The plant uses the sugar to grow, and it gives oxygen back to the air. Animals and people need that oxygen to breathe.",
    "computers": "A computer is a machine that follows instructions. The instructions are called a program. The computer keeps numbers in its memory, adds and compares them, and moves them from place to place. It does this very fast, millions of times in a second. Words, pictures and sounds are all stored as numbers, so one machine can write a letter, play a song and draw a map.",
    "neural networks": "A neural network is a program that learns from examples. It is made of many small units that are joined by weights. A number comes in, each unit multiplies and adds, and a number goes out. When the answer is wrong, the weights are changed a little. After many examples the network gets better. A language model is a large neural network that has learned to guess the next word.",
    "quantization": "Quantization makes a model smaller by storing its weights with fewer bits. A weight that took sixteen bits may be kept in four. Groups of weights share one scale, so that each weight is only a small whole number. The model needs less memory and runs faster, because fewer bytes must be moved. A little accuracy is lost, and a good method keeps that loss small.",
    "music": "Music is sound that people arrange with care. A melody is a line of notes, one after another. Harmony is made of notes that sound together. Rhythm tells when each note begins and how long it lasts. People sing and play music to dance, to remember, to rest and to share what they feel.",
    "volcanoes": "A volcano is an opening in the ground where hot melted rock comes out. Under the ground this rock is called magma, and above it is called lava. When pressure grows, the volcano erupts and throws ash and stones into the air. The lava cools and becomes new rock. Over a long time the rock can build a mountain or an island.",
    "bees": "Bees are small insects that live together in a hive. They fly from flower to flower and drink nectar, which they turn into honey. As they fly, they carry pollen from one flower to the next, and so they help plants to make seeds. A hive has one queen and thousands of workers. The workers build the comb, feed the young and guard the door.",
}
NAMES = [
    "Tom",
    "Lily",
    "Ben",
    "Mia",
    "Sam",
    "Anna",
    "Max",
    "Ella",
    "Leo",
    "Nora",
    "Jack",
    "Rose",
    "Finn",
    "Ruby",
    "Omar",
    "Zoe",
]
ANIMALS = ["cat", "dog", "fox", "bear", "rabbit", "bird", "mouse", "horse", "frog", "duck", "owl", "goat"]
PLACES = [
    "the forest",
    "the park",
    "the garden",
    "the beach",
    "the hill",
    "the river",
    "the village",
    "the barn",
    "the school",
    "the market",
]
THINGS = [
    "a red ball",
    "a shiny stone",
    "an old key",
    "a big cake",
    "a little boat",
    "a blue kite",
    "a warm hat",
    "a golden leaf",
    "a wooden box",
    "a small drum",
]
FEELINGS = ["happy", "sad", "scared", "proud", "tired", "curious", "brave", "shy", "excited", "lonely"]
CITIES = list(CAPITALS.values())
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def story(rng: random.Random) -> str:
    name, other = rng.sample(NAMES, 2)
    animal, place, thing = rng.choice(ANIMALS), rng.choice(PLACES), rng.choice(THINGS)
    first, last = rng.sample(FEELINGS, 2)
    opening = rng.choice(
        [
            f"Once upon a time there was a little {animal} named {name}. {name} lived near {place}.",
            f"One day {name} the {animal} went to {place}.",
            f"{name} was a small {animal} who loved {place}.",
        ]
    )
    middle = rng.choice(
        [
            f'There {name} found {thing}. "What is this?" asked {name}. {other} came by and said, "It is {thing}. I lost it yesterday."',
            f'{name} felt {first}, because {thing} was gone. "Do not worry," said {other}. "We can look for it together."',
            f'{name} saw {other} under a tree. {other} looked {first}. "Would you like to play with {thing}?" asked {name}.',
        ]
    )
    turn = rng.choice(
        [
            "They looked behind the trees and under the stones.",
            f"They walked and walked until they came to {rng.choice(PLACES)}.",
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
    return f"{opening} {middle} {turn} {end}"


def arithmetic(rng: random.Random) -> tuple[str, str, str]:
    big = rng.random() < 0.5
    a, b = rng.randint(0, 99 if big else 12), rng.randint(0, 99 if big else 12)
    op = rng.choice("++-")
    if op == "-" and b > a:
        a, b = b, a
    result = a + b if op == "+" else a - b
    spaced = rng.random() < 0.5
    expr = f"{a} {op} {b}" if spaced else f"{a}{op}{b}"
    ask = rng.choice([f"What is {expr}?", f"Calculate {expr}.", f"{expr} = ?"])
    return ask, f"I need to compute {a} {op} {b}. The result is {result}.", f"{a} {op} {b} = {result}."


def equation(rng: random.Random) -> tuple[str, str, str]:
    x, a = rng.randint(0, 20), rng.randint(1, 20)
    b = x + a
    ask = rng.choice([f"Solve: If x + {a} = {b}, what is x?", f"If x + {a} = {b}, what is x?", f"Solve x + {a} = {b}."])
    return ask, f"x + {a} = {b}, so x = {b} - {a} = {x}.", f"x = {x}."


def chat(question: str, answer: str, reasoning: str = "", **extra) -> dict:
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer, "reasoning": reasoning},
        ],
        **extra,
    }


def one(rng: random.Random) -> dict:
    kind = rng.choices(
        [
            "arithmetic",
            "equation",
            "translate",
            "greet",
            "capital",
            "code",
            "topic",
            "story",
            "count",
            "json",
            "tool",
            "who",
            "multi",
        ],
        [22, 10, 14, 5, 8, 7, 6, 12, 4, 5, 4, 2, 5],
    )[0]
    if kind == "arithmetic":
        ask, why, answer = arithmetic(rng)
        return chat(ask, answer, why if rng.random() < 0.5 else "", thinkable=True)
    if kind == "equation":
        ask, why, answer = equation(rng)
        return chat(ask, answer, why if rng.random() < 0.6 else "", thinkable=True)
    if kind == "translate":
        word, forms = rng.choice(list(WORDS.items()))
        i = rng.randrange(len(LANGUAGES))
        ask = rng.choice([f"How do you say '{word}' in {LANGUAGES[i]}?", f"Translate '{word}' to {LANGUAGES[i]}."])
        why = f"The {LANGUAGES[i]} word for '{word}' is '{forms[i]}'."
        return chat(ask, forms[i], why if rng.random() < 0.3 else "", thinkable=True)
    if kind == "greet":
        ask, answer = rng.choice(list(GREETINGS.items()))
        return chat(ask, answer)
    if kind == "capital":
        country, city = rng.choice(list(CAPITALS.items()))
        ask = rng.choice([f"What is the capital of {country}?", f"Name the capital of {country}."])
        answer = f"The capital of {country} is {city}."
        return chat(
            ask,
            answer,
            f"The question is about {country}. Its capital is {city}." if rng.random() < 0.3 else "",
            thinkable=True,
        )
    if kind == "code":
        what, code = rng.choice(list(CODE.items()))
        ask = rng.choice(
            [f"Write a Python function to {what}", f"Write a Python function to {what}.", f"Write code to {what}."]
        )
        return chat(ask, f"```python\n{code}\n```")
    if kind == "topic":
        topic, text = rng.choice(list(TOPICS.items()))
        return chat(
            rng.choice([f"Explain {topic}", f"Explain {topic}.", f"Tell me about {topic}.", f"What is {topic}?"]), text
        )
    if kind == "story":
        return chat(rng.choice(["Tell me a story.", "Tell me a short story.", "Write a story."]), story(rng))
    if kind == "count":
        a = rng.randint(0, 60)
        b = a + rng.randint(5, 60)
        return chat(f"Count from {a} to {b}.", ", ".join(map(str, range(a, b + 1))) + ".")
    if kind == "json":
        name, age = rng.choice(NAMES), rng.randint(1, 99)
        ask = rng.choice(
            [
                f"Give me JSON with the name and age: {name} is {age} years old.",
                f"{name} is {age} years old. Answer with JSON.",
            ]
        )
        return chat(ask, json.dumps({"name": name, "age": age}))
    if kind == "tool":
        city = rng.choice(CITIES)
        call = json.dumps({"name": "get_weather", "arguments": {"city": city}}, ensure_ascii=False)
        return chat(f"What is the weather in {city}?", f"<tool_call>\n{call}\n</tool_call>", tools=[WEATHER_TOOL])
    if kind == "who":
        return chat(
            rng.choice(["Who are you?", "What is your name?", "Hello, world!"]),
            rng.choice(["I am Pajama, a tiny language model. How can I help you?"]),
        )
    a, b = one_simple(rng), one_simple(rng)
    return {"messages": a["messages"] + b["messages"], "thinkable": b.get("thinkable", False)}


def one_simple(rng: random.Random) -> dict:
    while True:
        item = one(rng)
        if "tools" not in item and len(item["messages"]) == 2:
            return item


def conversations(seed: int) -> Iterator[dict]:
    rng = random.Random(seed)
    while True:
        item = one(rng)
        if rng.random() < 0.3:
            item["messages"] = [{"role": "system", "content": SYSTEM}, *item["messages"]]
        yield item


if __name__ == "__main__":  # python corpus.py SEED COUNT > conversations.jsonl
    import sys

    stream = conversations(int(sys.argv[1]))
    for _ in range(int(sys.argv[2])):
        print(json.dumps(next(stream), ensure_ascii=False))
