"""How people ask. `[a|b]` stands for one of its parts; names in braces are filled in."""

import random
import re

_CHOICE = re.compile(r"\[([^\[\]]*)\]")


def vary(rng: random.Random, template: str) -> str:
    """One of the texts that `template` stands for."""
    while match := _CHOICE.search(template):
        part = rng.choice(match[1].split("|"))
        template = template[: match.start()] + part + template[match.end() :]
    return template


# Questions that hold an expression like `17 + 25`, for every operation.
EXPRESSIONS = {
    "en": [
        "What is {e}?",
        "What is {e}?",
        "{e}=",
        "{e} =",
        "{e}",
        "{e}=?",
        "{e} = ?",
        "{e}?",
        "What's {e}?",
        "How much is {e}?",
        "[Calculate|Compute|Work out|Evaluate|Solve] {e}[.|]",
        "[Please calculate|Please compute|Calculate for me:] {e}[.|]",
        "[Can|Could] you [calculate|compute|work out] {e}?",
        "[Tell me|Can you tell me|Do you know] what {e} is[.|?]",
        "I need the [answer to|result of] {e}.",
        "What does {e} [equal|make|come to]?",
        "[And|And what is|What about|Now|Next:|Then] {e}?",
    ],
    "zh": [
        "{e} 等于多少？",
        "{e} 等于几？",
        "{e}等于多少",
        "{e} 是多少？",
        "{e} = 多少？",
        "{e}=",
        "{e}",
        "{e}=?",
        "{e}＝？",
        "[请计算|计算|算一下|请算|帮我算|帮我算一下|求] {e}[。|]",
        "请问 {e} [等于多少|是多少|等于几]？",
        "[你知道|告诉我|你能算] {e} [等于多少|是多少]吗？",
        "{e} 的[结果|答案|值]是[多少|什么]？",
        "[那|那么|还有|接下来|下一题：] {e} 呢？",
    ],
}

# Questions in words, by operation: {a} and {b} are digits, {A} and {B} number words.
WORDED = {
    "+": {
        "en": [
            "What is {a} plus {b}?",
            "{a} plus {b}[?|]",
            "What is {A} plus {B}?",
            "{A} plus {B}[?|]",
            "[Add|Please add|Sum] {a} and {b}[.|]",
            "Add {a} to {b}[.|]",
            "What is the sum of {a} and {b}?",
            "How much [is|are] {a} and {b} together?",
            "[I have|Tom has|She has] {a} [apples|books|coins] and [gets|finds|buys] {b} more."
            " How many now?",
        ],
        "zh": [
            "{a} 加 {b} 等于多少？",
            "{a} 加 {b} 等于几？",
            "{a}加{b}[等于多少|等于几|是多少|]",
            "{a} 加上 {b} 是多少？",
            "{A}加{B}[等于多少|等于几|是多少]？",
            "{a} [与|和] {b} 的和是多少？",
            "把 {a} 和 {b} 加起来[。|是多少？]",
            "[小明|我|她]有 {a} 个苹果，又[买了|得到] {b} 个，一共有多少个？",
        ],
    },
    "-": {
        "en": [
            "What is {a} minus {b}?",
            "{a} minus {b}[?|]",
            "What is {A} minus {B}?",
            "{A} minus {B}[?|]",
            "[Subtract|Take] {b} from {a}[.|]",
            "Take {b} away from {a}.",
            "What is the difference [of|between] {a} and {b}?",
            "[What is {a} less {b}?|How much is {a} take away {b}?]",
        ],
        "zh": [
            "{a} 减 {b} 等于多少？",
            "{a} 减 {b} 等于几？",
            "{a}减{b}[等于多少|等于几|是多少|]",
            "{a} 减去 {b} 是多少？",
            "{A}减{B}[等于多少|等于几|是多少]？",
            "{a} [与|和] {b} 的差是多少？",
            "从 {a} 里减去 {b}[。|是多少？]",
        ],
    },
    "×": {
        "en": [
            "What is {a} times {b}?",
            "{a} times {b}[?|]",
            "What is {A} times {B}?",
            "{A} times {B}[?|]",
            "[Multiply|Please multiply] {a} [by|and|with] {b}[.|]",
            "What is the product of {a} and {b}?",
            "What is {a} multiplied by {b}?",
            "[There are|I have] {a} boxes with {b} [apples|books|coins] each. How many in all?",
        ],
        "zh": [
            "{a} 乘 {b} 等于多少？",
            "{a} 乘以 {b} 等于多少？",
            "{a}乘{b}[等于多少|等于几|是多少|]",
            "{a} 乘以 {b} 是多少？",
            "{A}乘[以|]{B}[等于多少|等于几|是多少]？",
            "{a} [与|和] {b} 的[积|乘积]是多少？",
            "有 {a} 个盒子，每个装 {b} 个苹果，一共有多少个？",
        ],
    },
}

# Questions that continue from the last result.
FOLLOW_UPS = {
    "+": {
        "en": [
            "[Add|Now add|Then add] {b} [to that|to it|more|][.|]",
            "Plus {b}[?|]",
            "And {b} more?",
        ],
        "zh": ["再加 {b}[。|等于多少？|呢？|]", "[加上|把它加] {b}[。|呢？]", "结果再加 {b}[。|]"],
    },
    "-": {
        "en": ["[Subtract|Now subtract|Take away] {b}[ from that|][.|]", "Minus {b}[?|]"],
        "zh": ["再减 {b}[。|等于多少？|呢？|]", "[减去|把它减] {b}[。|呢？]", "结果再减 {b}[。|]"],
    },
    "×": {
        "en": ["[Multiply|Now multiply] that by {b}[.|]", "Times {b}[?|]"],
        "zh": ["再乘[以|] {b}[。|等于多少？|呢？|]", "[乘以|把它乘以] {b}[。|呢？]"],
    },
}

JSON = {
    "en": [
        "Answer as JSON: {e}",
        "Answer [as|in] JSON: [What is {e}?|{e}|{e}=]",
        "{e} as JSON",
        "[Give|Return] the [answer|result] [to|of] {e} as JSON[.|]",
        "[What is {e}?|{e}=] [Answer|Reply|Respond] [with|in|as] JSON[ only|][.|]",
        "[Return|Output] [only |]JSON: {e}",
        "JSON: {e}",
    ],
    "zh": [
        "用 JSON 回答：{e}",
        "[请用|用|以] JSON [格式|]回答：{e}[ 等于多少？|]",
        "{e}[ 等于多少？|，|=]用 JSON [回答|输出|返回][。|]",
        "[返回|输出] JSON：{e}",
    ],
}
JSON_KEYED = {
    "en": ['[Answer|Reply] [as|in] JSON with the key "{key}": {e}'],
    "zh": ['用 JSON 回答，键为 "{key}"：{e}'],
}
JSON_KEYS = ["answer", "result", "value", "sum", "number", "total", "output", "x", "n", "solution"]

# {n} is a number in digits, {w} the same in words of the named language.
TO_WORDS = {
    "en": [
        "[Write|Spell|Say] {n} in [words|English|English words][.|]",
        "How [do you|do I|would you] [write|spell|say] {n} in [words|English]?",
        "What is {n} in [words|English]?",
        "{n} in [words|English][?|]",
        "[Spell|Spell out|Read] [the number |]{n}[.|]",
        "{n} 用英[语|文][怎么说|怎么写|怎么读]？",
        "[把 {n} 写成英文|用英[语|文]写 {n}][。|]",
    ],
    "zh": [
        "{n} 用[中文|汉字][怎么写|怎么读|怎么说|是什么]？",
        "{n} [怎么读|怎么念]？",
        "把 {n} 写成[中文|汉字][。|]",
        "用[中文|汉字]写 {n}[。|]",
        "{n} 的[中文|汉字][写法|读法][是什么？|]",
        "[Write|Say|Spell] {n} in Chinese[.|]",
        "What is {n} in Chinese[ words|]?",
        "How do you [write|say|read] {n} in Chinese?",
        "{n} in Chinese[?|]",
    ],
}
FROM_WORDS = {
    "en": [
        "What number is {w}?",
        "[Write|Give me|Show] {w} [in|as] [digits|a number|numbers][.|]",
        "{w} in [digits|numbers|figures][?|]",
        "What is {w} in [digits|numbers|figures]?",
        'Which number is "{w}"?',
        "{w}",
        "{w} [是多少|是哪个数|是什么数字|用数字怎么写]？",
    ],
    "zh": [
        "{w}是[多少|哪个数|什么数字|几]？",
        "{w}用[数字|阿拉伯数字][怎么写|怎么表示|写]？",
        "[把|]{w}写成[数字|阿拉伯数字][。|]",
        "“{w}”是[多少|哪个数]？",
        "{w}",
        "[What number is|What is] {w}[?| in digits?]",
        "[Write|Give] {w} [in|as] [digits|a number][.|]",
    ],
}
