# SPDX-License-Identifier: MIT
"""The python trace: paragraphs of texts as objects, an index of trigrams over them, the most alike
pairs of paragraphs, and all of it through JSON and back. Run with PYTHONMALLOC=malloc, so that
every object is an allocation of its own, and PYTHONHASHSEED=0, so that two runs are alike."""

import collections
import json
import re
import sys


class Paragraph:
    """A paragraph with its words and where it is from."""

    def __init__(self, path, number, text):
        self.path = path
        self.number = number
        self.text = text
        self.words = re.findall(r"[a-z]+", text.lower())

    def trigrams(self):
        return zip(self.words, self.words[1:], self.words[2:])

    def as_dict(self):
        return {"path": self.path, "number": self.number, "words": collections.Counter(self.words)}


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    return [Paragraph(path, n, part) for n, part in enumerate(re.split(r"\n\s*\n", text)) if part]


def index_of(paragraphs):
    index = collections.defaultdict(set)
    for place, paragraph in enumerate(paragraphs):
        for trigram in paragraph.trigrams():
            index[trigram].add(place)
    return index


def most_alike(index):
    shared = collections.Counter()
    for places in index.values():
        if 2 <= len(places) <= 4:
            ordered = sorted(places)
            shared.update((a, b) for a in ordered for b in ordered if a < b)
    return shared.most_common(3)


def main():
    paragraphs = [p for path in sys.argv[1:] for p in read(path)]
    index = index_of(paragraphs)
    print(len(paragraphs), "paragraphs,", len(index), "trigrams, most alike", most_alike(index))
    del index
    text = json.dumps([p.as_dict() for p in paragraphs], indent=1)
    again = json.loads(text)
    print(len(text), "characters of JSON,", sum(len(p["words"]) for p in again), "words in it")


main()
