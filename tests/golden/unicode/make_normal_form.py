#!/usr/bin/env python3
"""Makes include/prefer/lm/text/normal_form_table.hpp and normal_form_c.json.

    python tests/golden/unicode/make_normal_form.py

The table is made of Python's unicodedata, which says what a character decomposes into and its combining class; which
characters it holds is what the package tokenizers knows, whose version of Unicode is an older one. The golden cases are
what normalizers.NFC of that package gives; wherever both know all characters, unicodedata must give the same.
"""
import json
import os
import random
import unicodedata

import tokenizers
from tokenizers import normalizers

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "../../../include/prefer/lm/text/normal_form_table.hpp")
GOLDEN = os.path.join(HERE, "normal_form_c.json")

nfc = normalizers.NFC().normalize_str
nfd = normalizers.NFD().normalize_str
characters = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def is_hangul_syllable(c):
    return 0xAC00 <= ord(c) <= 0xD7A3


def parts(c):
    """What a character decomposes into in one step; empty for none, and for Hangul, which is computed."""
    said = unicodedata.decomposition(c)
    if not said or said.startswith("<") or nfd(c) == c:
        return ""
    return "".join(chr(int(each, 16)) for each in said.split())


def combining_class(c):
    """The class, or 0 for a mark that tokenizers takes for a letter: it does not reorder it."""
    here = unicodedata.combining(c)
    if here == 0:
        return 0
    lower = here > unicodedata.combining("\u0334")  # else a class of 1, which moves before the 240 of U+0345
    text = "a" + c + "\u0334" if lower else "a\u0345" + c
    known = nfd(text) != text
    return here if known else 0


def runs(which):
    """Characters that follow one another, as [first, how many]."""
    out = []
    for c in map(ord, which):
        if out and out[-1][0] + out[-1][1] == c:
            out[-1][1] += 1
        else:
            out.append([c, 1])
    return out


def classes():
    out = []
    for c in characters:
        k = combining_class(c)
        if k == 0:
            continue
        if out and out[-1][1] + 1 == ord(c) and out[-1][2] == k:
            out[-1][1] += 1
        else:
            out.append([ord(c), ord(c), k])
    return out


def filled(items):
    lines, line = [], "   "
    for each in items:
        if len(line) + 1 + len(each) + 1 > 100:
            lines.append(line)
            line = "   "
        line += " " + each + ","
    return "\n".join(lines + [line])


def hexes(values):
    return [f"0x{v:X}" for v in values]


def table():
    decomposed = {c: parts(c) for c in characters if parts(c)}
    one = [c for c in decomposed if len(decomposed[c]) == 1]
    two = [c for c in decomposed if len(decomposed[c]) == 2]
    assert len(one) + len(two) == len(decomposed)
    apart = [c for c in two if nfc(decomposed[c]) != c]
    marks = classes()
    run_list = lambda which: [f"{{0x{a:X}, {n}}}" for a, n in runs(which)]
    text = f"""// SPDX-License-Identifier: MIT
#pragma once

// Made by tests/golden/unicode/make_normal_form.py of the Unicode Character Database {unicodedata.unidata_version}, less the characters that
// tokenizers {tokenizers.__version__} does not know. Not to be edited.

#include <cstdint>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm::detail {{

/// Characters from `first` to `last` of one canonical combining class; those in no range have class 0.
struct mark_range {{
  char32_t first, last;
  std::uint8_t combining_class;
}};
/// `count` characters that follow one another.
struct character_run {{
  char32_t first;
  std::uint16_t count;
}};

// clang-format off
// {sum(b - a + 1 for a, b, _ in marks)} characters.
inline constexpr mark_range combining_classes[] = {{
{filled([f"{{0x{a:X}, 0x{b:X}, {k}}}" for a, b, k in marks])}
}};

// The {len(one)} characters that are one other, and, in their order, which.
inline constexpr character_run singletons[] = {{
{filled(run_list(one))}
}};
inline constexpr char32_t singleton_is[] = {{
{filled(hexes(ord(decomposed[c]) for c in one))}
}};

// The {len(two)} characters that are a pair of others, Hangul aside, and, in their order, which.
inline constexpr character_run composites[] = {{
{filled(run_list(two))}
}};
inline constexpr char32_t composite_of[] = {{
{filled(hexes(ord(p) for c in two for p in decomposed[c]))}
}};

// The {len(apart)} of these that a pair is never put together to.
inline constexpr character_run never_composed[] = {{
{filled(run_list(apart))}
}};
// clang-format on

}}  // namespace prefer::inline v0_1::lm::detail
"""
    with open(TABLE, "w", encoding="ascii") as file:
        file.write(text)
    return decomposed, two


def cases(decomposed, two):
    draw = random.Random(112)
    marks = [c for c in characters if combining_class(c)]
    some = ["\u0301", "\u0300", "\u0308", "\u0323", "\u0327", "\u0328", "\u0345", "\u0334", "\u0338", "\u0344", "\u05b0", "\u3099",
            "\u0f71", "\u0f72", "\u0653", "\u093c", "\u09be", "\U000110ba", "\U0001d165", "\U0001d16e"]
    texts = ["", "abc", "\u00e9", "e\u0301", "\u0301", "\u0301e\u0301", "a\u0323\u0301", "a\u0301\u0323", "a\u0301b\u0323\u0301"]
    # What is made of each, decomposed, and with a mark that comes in between or behind.
    for c in decomposed:
        texts.append(c)
    for c in two:
        first, second = decomposed[c]
        mark = draw.choice(some)
        texts += [nfd(c), draw.choice([first + second, c + mark]), draw.choice([first + mark + second, first + "\u034f" + second])]
    # Two marks in both orders on letters that take them.
    for letter in ["a", "E", "o", "\u01b7", "\u03b1", "\u0430", "\u3046", "\u0915", "\uac00", "\u1100", "1", " ", "\n", "\U0001f642"]:
        for first in some:
            for second in draw.sample(some, 2):
                texts.append(letter + first + second)
    # Every mark among others of lower, the same and higher classes.
    for c in marks:
        texts.append("a" + "\u0345" + c + "\u0334" + draw.choice(some))
    # Hangul: jamo in and out of order, syllables with and without a last consonant.
    jamo = ["\u1100", "\u1112", "\u1113", "\u1161", "\u1175", "\u1176", "\u11a7", "\u11a8", "\u11c2", "\u11c3", "\uac00", "\uac01",
            "\ud788", "\ud7a3", "\u0301", "\u302e"]
    texts += [a + b for a in jamo for b in jamo]
    texts += ["".join(draw.choice(jamo) for _ in range(draw.randint(3, 6))) for _ in range(150)]
    # Anything among anything.
    pool = marks + list(decomposed) + [p for c in two for p in decomposed[c]]
    for _ in range(500):
        text = "".join(draw.choice(pool) if draw.random() < 0.7 else draw.choice("ab \n\u00e9\u4e2d\u1105\u1167\u11ab")
                       for _ in range(draw.randint(2, 12)))
        texts.append(text)
    seen = dict.fromkeys(texts)
    points = lambda text: " ".join(f"{ord(c):X}" for c in text)
    rows = []
    for text in seen:
        if nfc(text) != unicodedata.normalize("NFC", text):
            raise SystemExit(f"tokenizers and unicodedata differ on {points(text)}")
        rows.append([points(text)] + ([points(nfc(text))] if nfc(text) != text else []))
    head = {"about": "texts as code points in base 16, and their normal form C where it is another", "unicode": unicodedata.unidata_version,
            "tokenizers": tokenizers.__version__}
    with open(GOLDEN, "w", encoding="ascii") as file:
        body = ",\n".join(json.dumps(each) for each in rows)
        file.write(json.dumps(head)[:-1] + ', "cases": [\n' + body + "\n]}\n")
    print(len(rows), "cases")


if __name__ == "__main__":
    cases(*table())
