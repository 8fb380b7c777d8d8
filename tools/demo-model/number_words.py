"""Numbers from 0 to 9,999 in English and Chinese words."""

# fmt: off
UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]
# fmt: on
TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
DIGITS = "零一二三四五六七八九"
CHINESE_NUMERALS = DIGITS + "十百千两"


def english(number: int, conjunction: str = "") -> str:
    """`one hundred two`; with `conjunction=" and"` the British `one hundred and two`."""
    if number < 20:
        return UNITS[number]
    if number < 100:
        tens, unit = divmod(number, 10)
        return TENS[tens] + (f"-{UNITS[unit]}" if unit else "")
    scale, name = (1000, "thousand") if number >= 1000 else (100, "hundred")
    head, rest = divmod(number, scale)
    text = f"{english(head)} {name}"
    if not rest:
        return text
    return f"{text}{conjunction if rest < 100 else ''} {english(rest, conjunction)}"


def chinese(number: int, two: str = "两") -> str:
    """`一千零五`; `two` is how the 2 of 2,000 is said, `两` or `二`."""
    if number == 0:
        return DIGITS[0]
    text, gap = "", False
    for scale, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // scale % 10
        if digit == 0:
            gap = bool(text)
            continue
        word = two if (digit, scale) == (2, 1000) else DIGITS[digit]
        if (digit, scale, text) == (1, 10, ""):
            word = ""
        text += (DIGITS[0] if gap else "") + word + name
        gap = False
    return text
