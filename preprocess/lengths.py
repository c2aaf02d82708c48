"""Length of a line of text in words, in any script, and whether the line is blank.

Some scripts put no spaces between words. Their letters are counted. Two make a word in Chinese and
Japanese, three in Tibetan and the alphabets of South-East Asia. Marks above, below and between
letters do not count. The result is rough, but it is enough to tell a translation from junk.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Iterable, Iterator

LETTERS_OF_A_WORD = 2, 3  # of SIGNS, of ALPHABETS
LONGEST_WORD = 100  # characters; in a longer word each PIECE more counts as another word
PIECE = 20  # characters

SIGNS = (  # Han, kana, bopomofo
    *((0x3005, 0x3007), (0x3021, 0x3029), (0x3031, 0x3035), (0x303B, 0x303C), (0x3041, 0x30FF)),
    *((0x3105, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF)),
    *((0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1B000, 0x1B16F), (0x20000, 0x323AF)),
)
ALPHABETS = (
    *((0x0E00, 0x0E7F), (0x0E80, 0x0EFF)),  # Thai, Lao
    *((0x0F00, 0x0FFF), (0x1000, 0x109F)),  # Tibetan, Burmese
    *((0x1780, 0x17FF), (0x1950, 0x19DF)),  # Khmer, Tai Le and New Tai Lue
    *((0x1A20, 0x1AAF), (0x1B00, 0x1B7F)),  # Tai Tham, Balinese
    *((0xA980, 0xA9FF), (0xAA60, 0xAADF)),  # Javanese and Burmese, Burmese and Tai Viet
)
# Unicode's default ignorables, controls, and signs that are blank by design
INVISIBLE = (
    *((0x0000, 0x001F), (0x007F, 0x009F), (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C)),
    *((0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E)),
    *((0x2060, 0x206F), (0x2800, 0x2800), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)),
    *((0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A)),
    (0xE0000, 0xE0FFF),
)


def _letters(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the letters and digits of small blocks as ranges of one, without the marks."""
    for first, last in ranges:
        for number in range(first, last + 1):
            if unicodedata.category(chr(number))[0] in "LN":
                yield number, number


def _class(ranges: Iterable[tuple[int, int]]) -> str:
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


_SIGN = re.compile(f"[{_class(SIGNS)}]")
_LETTER = re.compile(f"[{_class(_letters(ALPHABETS))}]")
# whole scripts, with their marks and punctuation
_SPACELESS = re.compile(f"[{_class((*SIGNS, *ALPHABETS, (0x3000, 0x303F), (0xFF01, 0xFF0F)))}]+")
_FAR = re.compile("[\u0e00-\u1fff\u2e80-\U0010ffff]")  # the range of all of them, for a fast test
_NOTHING = re.compile(f"[\\s{_class(INVISIBLE)}]*")


def is_blank(line: str) -> bool:
    """Tell whether a line is empty, or has only spaces and invisible characters."""
    if "!" <= line[:1] <= "~":  # fast path of most lines
        return False
    return _NOTHING.fullmatch(line) is not None


def words(line: str) -> int:
    """Length of a line in words; of scripts without spaces, letters are counted."""
    spaced = line.split()
    if not line.isascii() and _FAR.search(line) and _SPACELESS.search(line):
        signs, letters = len(_SIGN.findall(line)), len(_LETTER.findall(line))
        spaced = _SPACELESS.sub(" ", line).split()
        count = -(-signs // LETTERS_OF_A_WORD[0]) - (-letters // LETTERS_OF_A_WORD[1])
        count = max(count, 1)  # punctuation alone counts too
    else:
        count = 0
    if len(line) > LONGEST_WORD:  # a long text without spaces is not one word
        count += sum(max(0, len(word) - LONGEST_WORD) // PIECE for word in spaced)
    return count + len(spaced)
