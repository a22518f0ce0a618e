# SPDX-License-Identifier: MIT
"""
What the real programs of the comparison read: made here, the same bytes on every machine.

1. Text: paragraphs of words that somebody without a language might speak, frequent ones far more often
   than rare ones, as in real texts.
2. C: the headers of libstb-dev, with all their functions.
3. SQL: tests/traces/input/orders.sql with more rows.
4. A git repository whose files change from revision to revision, made by git fast-import.

random.Random is the same in every version of Python 3 for what is used here: random(), from which
everything else is derived.
"""

import bisect
import itertools
import os
import random
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.path.join(ROOT, "tests", "traces", "input")
SYLLABLES = [consonant + vowel for consonant in "bdfghklmnprstvz" for vowel in "aeiou"]
VOCABULARY = 12000
WORDS_PER_LINE = 12
REVISIONS = 12
FILES = 150
# Marks the time from which the inputs are up to date; change it when this file makes others.
VERSION = "1"


class Dice:
    """Draws that depend on random.Random.random() alone."""

    def __init__(self, seed):
        self.draw = random.Random(seed).random

    def between(self, low, high):
        return low + int(self.draw() * (high - low + 1))

    def choice(self, things):
        return things[int(self.draw() * len(things))]


def words(count, dice):
    """`count` words; the n-th of the vocabulary comes in proportion to 1/n (Zipf)."""
    vocabulary = ["".join(dice.choice(SYLLABLES) for _ in range(dice.between(1, 4))) for _ in range(VOCABULARY)]
    sums = list(itertools.accumulate(1 / (n + 2) for n in range(VOCABULARY)))
    return [vocabulary[bisect.bisect(sums, dice.draw() * sums[-1])] for _ in range(count)]


def text(count, seed):
    """Numbered headings with a few paragraphs each, `count` words in all."""
    dice = Dice(seed)
    left = iter(words(count, dice))
    parts = []
    for number in itertools.count(1):
        title = list(itertools.islice(left, 4))
        if not title:
            return "".join(parts)
        parts.append(f"{number}. {' '.join(title).title()}\n\n")
        for _ in range(dice.between(1, 5)):
            paragraph = list(itertools.islice(left, dice.between(20, 120)))
            lines = [paragraph[at:at + WORDS_PER_LINE] for at in range(0, len(paragraph), WORDS_PER_LINE)]
            parts.append("".join(" ".join(line) + "\n" for line in lines) + "\n")


def change(lines, pool, dice):
    for _ in range(dice.between(1, 20)):
        lines[dice.between(0, len(lines) - 1)] = dice.choice(pool)


def revisions(pool, seed):
    """The input of git fast-import: commits in which about half of the files change."""
    dice = Dice(seed)
    files = []
    for number in range(REVISIONS):
        yield (f"commit refs/heads/main\nmark :{number + 1}\n"
               f"committer Bareheap <bareheap@example.org> {1700000000 + number} +0000\n"
               f"data <<END\nrevision {number}\nEND\n")
        for file in range(FILES):
            if number == 0:
                at = dice.between(0, len(pool) - 501)
                files.append(pool[at:at + dice.between(40, 500)])
            elif dice.draw() < 0.5:
                continue
            else:
                change(files[file], pool, dice)
            data = "\n".join(files[file])
            yield f"M 100644 inline folder{file % 7}/file{file}\ndata {len(data)}\n{data}\n"


def write(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(content)


def make_repository(folder, pool):
    repository = os.path.join(folder, "repository")
    subprocess.run(["git", "init", "-q", "--bare", repository], check=True)
    subprocess.run(["git", "-C", repository, "fast-import", "--quiet"], check=True,
                   input="".join(revisions(pool, 2)).encode())


def make_inputs(folder):
    """Fills the folder, unless that has been done. Without git there is no repository."""
    mark = os.path.join(folder, "made")
    if os.path.exists(mark) and open(mark, encoding="utf-8").read() == VERSION:
        return
    subprocess.run(["rm", "-rf", folder], check=True)
    os.makedirs(folder)
    long_text = text(240000, 1)
    write(folder, "long", long_text)
    write(folder, "short", long_text[:len(long_text) // 2])
    write(folder, "truetype.c", "#define STB_TRUETYPE_IMPLEMENTATION\n#include <stb/stb_truetype.h>\n")
    with open(os.path.join(PROGRAMS, "orders.sql"), encoding="utf-8") as file:
        write(folder, "orders.sql", file.read().replace("i < 12000", "i < 70000"))
    write(folder, "buffers.js", BUFFERS_JS)
    try:
        make_repository(folder, long_text.split("\n"))
    except OSError:
        pass  # the row that needs it says that git is missing
    write(folder, "made", VERSION)


# Buffers outside node's own heap, and strings and maps in it.
BUFFERS_JS = """\
const words = require('fs').readFileSync('long', 'utf8').split(/\\s+/);
const counts = new Map(), buffers = [];
for (const word of words) counts.set(word, (counts.get(word) || 0) + 1);
for (let i = 0; i < 60000; i++) buffers[i % 1000] = Buffer.alloc(5000 + i % 7000, i);
let sum = 0;
for (const buffer of buffers) sum += buffer[buffer.length - 1];
console.log(counts.size, sum);
"""
