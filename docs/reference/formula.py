# SPDX-License-Identifier: MIT
"""Formulas of docstrings as MathML, which browsers typeset by themselves.

The notation is that of the docstrings, plain text with the names of the code:

    loss = softplus(-z) + alpha * log_prob_chosen / length_chosen,  z = beta * log_ratio_margin

a / b is a fraction of what stands next to the stroke, a_i and a_chosen have a subscript, x^2 an exponent, |x| bars;
`sum_y` and `sum over i < k of` are sums, names of Greek letters the letters. What is no symbol is a word. Two spaces
separate statements of one line; a line that is indented by four or begins with an operator goes on with the one before.
"""
import re
from html import escape

greek = dict(alpha="α", beta="β", gamma="γ", epsilon="ε", eps="ε", eta="η", theta="θ", tau="τ", phi="φ", pi="π",
             sigmoid="σ", infinity="∞") | {"lambda": "λ"}
signs = {"*": "⋅", "-": "−", "<=": "≤", ">=": "≥", "!=": "≠", "||": "∥", "...": "…", "|": "∣", "*=": "⋅="}
subscripts = {"chosen", "rejected", "first", "gold", "theta", "batch"}
relations = {"=", "<", ">", "<=", ">=", "!=", "*="}
infix = relations | {"+", "-", "*", ",", ":", "||", "...", ";"}
token = re.compile(r"(?P<gap> *)(?:(?P<name>[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*(?:'s\b|')?)|(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)"
                   r"|(?P<sign><=|>=|!=|\*=|\|\||\.\.\.|[-+*/^=<>|,;:()\[\]{}_]))")
closing = {"(": ")", "[": "]"}


class NoFormula(Exception):
    pass


class atom:
    """A piece of MathML; of something in parentheses also what stands inside."""

    def __init__(self, xml, inside=None, word=False):
        self.xml, self.inside, self.word = xml, inside, word

    def bare(self):
        return self.inside if self.inside is not None else self.xml


def element(tag, *children):
    return f"<{tag}>{''.join(children)}</{tag}>"


def row(xml):
    return element("mrow", xml)


def fenced(opening, inside, close):
    """Between brackets, which grow with what is higher than a line."""
    tall = "true" if re.search("<mfrac|<munder", inside) else "false"
    return row(f'<mo form="prefix" stretchy="{tall}">{opening}</mo>{inside}'
               f'<mo form="postfix" stretchy="{tall}">{close}</mo>')


def letter(name):
    prime = "′" if name.endswith("'") else ""
    name = name[:-1] if prime else name
    return element("mi", escape(greek.get(name, name)) + prime)


def symbol(name):
    """A name with its subscript: w_t, u_chosen, beta1."""
    base, _, sub = name.rpartition("_")
    if base and (len(sub.rstrip("'")) <= 2 or sub in subscripts):
        several = re.fullmatch("[a-z]{2}", sub)  # T_ki: two indices
        return element("msub", symbol(base), element("mn", sub) if sub.isdigit() else
                       row("".join(map(letter, sub))) if several else letter(sub))
    digits = re.fullmatch(r"([a-z]{3,})(\d)", name)
    if digits:
        return element("msub", letter(digits.group(1)), element("mn", digits.group(2)))
    return letter(name)


class reader:
    def __init__(self, text):
        self.tokens, at = [], 0
        while at < len(text):
            found = token.match(text, at)
            if not found:
                raise NoFormula(text[at:])
            self.tokens.append((found.lastgroup, found.group(found.lastgroup), len(found.group("gap"))))
            at = found.end()
        self.at = 0

    def peek(self, ahead=0):
        i = self.at + ahead
        return self.tokens[i] if i < len(self.tokens) else ("end", "", 0)

    def next_is(self, text, spaced=None):
        _, there, gap = self.peek()
        return there == text and (spaced is None or spaced == (gap > 0))

    def take(self, text):
        if not self.next_is(text):
            raise NoFormula(f"expected {text}")
        self.at += 1

    def opens_bars(self):
        return self.next_is("|") and self.peek(1)[2] == 0 and (self.at == 0 or self.peek()[2] > 0 or
                                                                   self.peek(-1)[1] in "([|")

    def sequence(self, stop):
        """Chains with operators between them, up to `stop`."""
        out = []
        while self.peek()[0] != "end" and not self.next_is(stop):
            kind, text, gap = self.peek()
            if text in infix or (text == "|" and stop != "|" and gap > 0 and self.peek(1)[2] > 0):
                self.at += 1
                wide = self.peek()[2] > 1
                unary = text == "-" and (not out or self.peek(-2)[1] in infix | {"of"})
                form = ' form="prefix"' if unary else ""
                out.append(f"<mo{form}>{escape(signs.get(text, text))}</mo>")
                if wide and text in ",:;":
                    out.append('<mspace width="1.2em"/>')
                continue
            out.append(self.fraction(stop))
        return "".join(out)

    def fraction(self, stop):
        above = self.chain(stop)
        while self.next_is("/"):
            self.at += 1
            below = self.chain(stop)
            above = atom(element("mfrac", row(above.bare()), row(below.bare())))
        return above.xml

    def chain(self, stop):
        """Factors, functions and words that stand side by side."""
        pieces = []
        while True:
            kind, text, gap = self.peek()
            if kind == "end" or text == stop or text in infix or text in ("/", ")", "]", "}"):
                break
            if text == "|" and not self.opens_bars():
                break
            piece = self.power()
            if pieces:
                wide = piece.word or pieces[-1].word
                pieces.append(atom(f'<mspace width="{"0.3" if wide else "0.17"}em"/>', word=piece.word))
            pieces.append(piece)
        if not pieces:
            raise NoFormula("an operator without an operand")
        return pieces[0] if len(pieces) == 1 else atom("".join(each.xml for each in pieces), word=True)

    def power(self):
        base, sub, sup = self.atom(), None, None
        if self.next_is("_", spaced=False):
            self.at += 1
            if self.next_is("{"):
                self.at += 1
                sub = row(self.sequence("}"))
                self.take("}")
            else:
                sub = self.atom().xml
        if self.next_is("^"):
            self.at += 1
            minus = self.next_is("-")
            self.at += minus
            sup = self.atom()
            sup = row(("<mo form=\"prefix\">−</mo>" if minus else "") + sup.bare())
        if sub is None and sup is None:
            return base
        kind = "msubsup" if sub and sup else "msub" if sub else "msup"
        return atom(element(kind, base.xml, *(each for each in (sub, sup) if each)))

    def group(self, opening):
        self.take(opening)
        inside = self.sequence(closing[opening])
        self.take(closing[opening])
        return atom(fenced(opening, inside, closing[opening]), inside)

    def atom(self):
        kind, text, _ = self.peek()
        if kind == "number":
            self.at += 1
            return atom(element("mn", text))
        if text in closing:
            return self.group(text)
        if self.opens_bars():
            self.take("|")
            inside = self.sequence("|")
            self.take("|")
            return atom(fenced("|", inside, "|"))
        if kind != "name":
            raise NoFormula(text)
        self.at += 1
        if text == "sum" or text.startswith("sum_"):
            return self.over("<mo>∑</mo>", text[4:])
        if text in ("mean", "max", "min") and self.next_is("over"):
            return self.over(letter(text), "")
        if text == "sqrt" and self.next_is("(", spaced=False):
            return atom(element("msqrt", row(self.group("(").inside)))
        call = self.next_is("(", spaced=False) or self.next_is("[", spaced=False)
        if call:
            function = letter(text) if text == "expm1" else symbol(text)
            return atom(row(function + self.group(self.peek()[1]).xml))
        return atom(symbol(text), word=len(text) > 1 and text not in greek)

    def over(self, sign, index):
        """sum_t, sum over <index> of, or a sum that says nothing of its index."""
        if index:
            return atom(element("munder", sign, letter(index)))
        if not self.next_is("over"):
            self.at += self.next_is("of")
            return atom(sign)
        self.at += 1
        under = self.sequence("of")
        self.take("of")
        return atom(element("munder", sign, row(under)))


def balanced(text):
    return text.count("(") <= text.count(")") and text.count("[") <= text.count("]")


def statements(lines):
    """The lines as (indent, text), those put together that only mean something together."""
    out = []
    for line in lines:
        indent, text = len(line) - len(line.lstrip()), line.strip()
        if out and not balanced(out[-1][1]):
            out[-1] = (out[-1][0], out[-1][1] + " " + text)
        else:
            out.append((indent, text))
    return out


def mathml(text):
    """One statement; None where it is none."""
    try:
        read = reader(text)
        body = read.sequence("")
    except NoFormula:
        return None
    if read.peek()[0] != "end":
        return None
    return (f'<math displaystyle="true"><semantics>{row(body)}'
            f'<annotation encoding="text/plain">{escape(text)}</annotation></semantics></math>')


def is_table(text):
    return re.search(r"[^,\s] {3,}(?![= ])\S", text) is not None


def formula(lines):
    """HTML of a block of formulas; None for what is something else, or reads better as it is."""
    lines = [line for line in lines if line.strip()]
    if not any("=" in line for line in lines) or any(is_table(line) for line in lines):
        return None
    out = []
    for indent, text in statements(lines):
        text = re.sub(r" {2,}=", " =", text)
        is_prose = re.match(r"\w+: ", text) and not re.search(r" = ", text)
        math = escape(text) if is_prose else mathml(text)
        if math is None:
            return None
        out.append(f'<div style="margin-left: {min(indent, 4) / 2}em">{math}</div>')
    return '<div class="formula">' + "".join(out) + "</div>"
