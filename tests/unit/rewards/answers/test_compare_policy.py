"""The label policy, sentence by sentence: pairs that are the same answer and pairs that are not, both ways round."""

from __future__ import annotations

import pytest

from oneshot.rewards.answers.compare import same

Pairs = dict[str, list[tuple[str, str]]]

EQUAL: Pairs = {
    "unreduced fraction": [(r"\frac{10}{16}", r"\frac{5}{8}"), ("2/4", "1/2"), (r"\frac{-6}{-4}", "3/2")],
    "unrationalised root": [(r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"), (r"\sqrt{12}", r"2\sqrt{3}"),
                            (r"\frac{6}{\sqrt{3}}", r"2\sqrt{3}"), (r"\sqrt{\frac{2}{3}}", r"\frac{\sqrt{6}}{3}")],
    "expanded and factored": [("(x+1)^2", "x^2+2x+1"), ("(x-3)(x+3)", "x^2-9"), ("a(b+c)", "ab+ac"),
                              (r"\frac{x^2-1}{x-1}", "x+1"), ("x^2y-xy^2", "xy(x-y)"), ("2(l+w)", "2w+2l")],
    "identities": [(r"\sin^2 x+\cos^2 x", "1"), (r"\cos 2x", r"1-2\sin^2 x"), (r"e^{i\pi}", "-1"),
                   (r"\ln 4", r"2\ln 2"), (r"\log_2 8", "3"), (r"\tan\frac{\pi}{4}", "1"), (r"\sec^2 x", r"1+\tan^2 x"),
                   (r"\sqrt[3]{x}", "x^{1/3}")],
    "exact decimal": [("0.625", r"\frac{5}{8}"), ("12.8", "64/5"), ("12.80", "12.8"), (".5", "1/2"), ("5.", "5"),
                      ("016", "16"), ("025", "25"), ("-0.25", r"-\frac{1}{4}"), ("47.0", "47")],
    "unevaluated arithmetic": [("2+3", "5"), ("3^2+4^2", "25"), ("7!", "5040"), (r"\binom{5}{2}", "10"),
                               (r"2^{10}", "1024"), (r"\frac{1}{2004!}", "1/2004!"), (r"3\cdot 4\times 5", "60"),
                               ("1/2+1/3", "5/6"), (r"10\div 4", "2.5"), (r"5^{-1}", "0.2")],
    "decimal of six digits": [("0.333333", "1/3"), ("0.285714", r"\frac{2}{7}"), ("3.14159", r"\pi"),
                              ("3.141593", r"\pi"), ("1.414214", r"\sqrt{2}"), ("904.779", r"288\pi"),
                              ("4.666667", "14/3"), ("4.666666", "14/3")],
    "whole numbers of any size": [("9" * 300, "9" * 300), ("1" + "0" * 40, "10^{40}"), ("9" * 5_000, "9" * 5_000),
                                  ("2^{64}", "18446744073709551616")],
    "percent sign on one side": [(r"35\%", "35"), (r"35\%", "0.35"), (r"43.75\%", "43.75"), ("50%", r"\frac{1}{2}"),
                                 (r"12.5 \text{ percent}", "12.5"), (r"99\%", r"99 \%")],
    "units": [(r"14 \text{ cm}", "14"), (r"14\,\mathrm{cm}", "14"), (r"15 \text{ cm}^2", "15"), ("14 cm", "14"),
              (r"9.8 \text{ m/s}^2", "9.8"), ("5 square feet", "5"), (r"12\text{ apples}", "12"), ("15 m", "15"),
              (r"\frac{3}{4} \text{ hours}", "0.75"), (r"60\sqrt{3}\text{ cm}", r"60\sqrt{3}")],
    "currency": [(r"\$12.50", "12.5"), ("$12.50", "12.5"), ("€7", "7"), ("£1,200", "1200"), ("28 dollars", "28"),
                 (r"-\$5", "-5")],
    "degree sign": [(r"60^\circ", "60"), (r"60^{\circ}", "60"), ("60°", "60"), (r"336^\circ", "336"),
                    ("60 degrees", "60"), (r"\sin 30^\circ", r"\frac{1}{2}")],
    "text command": [(r"\text{12.8}", "12.8"), (r"\text{Tuesday}", "Tuesday"), (r"\mathrm{yes}", "yes")],
    "thousands separators": [("1,234", "1234"), ("1{,}234", "1234"), (r"1,\!234", "1234"), ("1\u00a0234", "1234"),
                             ("1\u202f234,", "1234"), (r"1\,234", "1234"), ("154,320,000", "154320000"),
                             ("32\u00a0349", "32349"), ("1,234.5", "1234.5")],
    "mixed numbers": [(r"1\frac{4}{5}", "1.8"), ("1 3/4", "7/4"), (r"-2\frac{3}{4}", "-2.75"),
                      (r"22\frac{1}{2}", "22.5"),
                      (r"2\frac{3}{4}", r"\frac{11}{4}")],
    "scientific and words": [("4.5e33", r"4.5 \times 10^{33}"), ("6.5 million", "6500000"), ("1.5E-3", "0.0015"),
                             (r"6.02 \cdot 10^{23}", "6.02e23"), (r"2 \text{ billion}", r"2\times 10^9"),
                             ("3 x 10^5", "300000"), ("5 dozen", "60"), ("10^{-3}", "0.001")],
    "lists in any order": [("1,2,3", "3,1,2"), (r"\{2,4,8\}", r"\{8,4,2\}"), ("10, 4, -2", "4, 10, -2"),
                           ("3,-7", "-7 , 3"),
                           (r"2 \text{ and } 3", "3,2"), (r"$69$,$84$", "84,69"), (r"\sqrt{4}, \frac{6}{2}", "3,2")],
    "plus and minus": [(r"2 \pm \sqrt{7}", r"2+\sqrt{7}, 2-\sqrt{7}"), (r"\pm 3", "3,-3"), (r"x=\pm 3", "-3, 3"),
                       (r"1\mp 2", "3,-1"), (r"\{1\pm i\}", "1-i, 1+i")],
    "tuples": [("(3,-7)", "(3, -7)"), ("(1,1/2)", "(1, 0.5)"), (r"\left(2,\frac{\pi}{3}\right)", r"(2, \pi/3)"),
               (r"(3,\sqrt{4},x+x)", "(3,2,2x)")],
    "interval as inequality": [(r"(3,\infty)", "x > 3"), ("[1,4)", r"1 \le x < 4"), (r"x\in[-2,7]", "[-2,7]"),
                               (r"(-\infty,2]", "y<=2"), (r"(-\infty,2)\cup(3,\infty)", r"x<2 \text{ or } x>3"),
                               (r"[1,4)", "4 > x ≥ 1"), (r"(-2,2)", "|x|<2"), (r"(3,\infty)", r"\{x \mid x>3\}"),
                               (r"(3,\infty)", "(3,+\\infty)")],
    "unions in any order": [(r"(-\infty,2)\cup(3,\infty)", r"(3,\infty)\cup(-\infty,2)"),
                            (r"[0,1]\cup[1,2]", "[0,2]"), (r"(-\infty,0)\cup(0,\infty)", r"x \ne 0")],
    "an equation that names its value": [("x=5", "5"), ("x = 5", "5.0"), (r"V=\frac{64}{5}", "12.8"),
                                         ("n=-1./3", r"-\frac13")],
    "proportional equations": [("y = 3x - 1", "3x - y - 1 = 0"), ("2x+4y=6", "x+2y-3=0"), ("x^2+y^2=4", "4=y^2+x^2"),
                               ("x+y=1", "-2x-2y=-2")],
    "a function and its rule": [("y=2x+3", "2x+3"), ("f(x)=x^2", "x^2"), ("f(x)=x^2", "y=x^2"),
                                ("f(x) = 2x+3", "2x+3")],
    "matrix environments": [(r"\begin{pmatrix} 1&2\\3&4 \end{pmatrix}", r"\begin{bmatrix} 1&2\\3&4 \end{bmatrix}"),
                            (r"\begin{pmatrix} 1/2 \\ 3 \end{pmatrix}",
                            r"\begin{pmatrix} \frac{1}{2} \\[4pt] 3 \end{pmatrix}"),
                            (r"\begin{matrix} 1&2 \end{matrix}", r"\begin{vmatrix} 1 & 2 \\ \end{vmatrix}"),
                            (r"\left[\begin{array}{cc} 1&0\\0&1 \end{array}\right]",
                            r"\begin{pmatrix} 1&0\\0&1 \end{pmatrix}")],
    "text in any case": [("yes", "Yes"), (r"\text{EVEN}", "even"), ("tuesday", r"\text{Tuesday}")],
    "choice letters": [("(C)", "C"), (r"\text{C}", "(C)"), ("(C) 14", "C"), (r"\text{(D)}", "D"), ("C.", "C"),
                       ("(C) 14", r"\textbf{(C)}")],
    "base": [("204_5", "204_{5}"), ("31_7", "31_{7}"), (r"1011_2", r"1011_{2}")],
    "complex": [("2+7i", "7i+2"), (r"(1+i)^2", "2i"), (r"\frac{1}{i}", "-i"), (r"e^{i\pi/2}", "i")],
    "unicode": [("−8", "-8"), ("2√3", r"2\sqrt{3}"), ("24π", r"24\pi"), ("½", "1/2"), ("x²", "x^2"), ("∞", r"\infty"),
                ("3×4", "12"), ("\uff15", "5"), ("[2,∞)", r"x≥2"), ("1\u20442", "0.5")],
}  # fmt: skip

DIFFERENT: Pairs = {
    "other value": [("17", "71"), ("-8", "8"), (r"\frac{5}{8}", r"\frac{8}{5}"), (r"6\sqrt{5}", r"5\sqrt{6}"),
                    ("(x-3)^2", "x^2-9"), ("2b+3a", "3b+2a"), ("2+7i", "2-7i"), ("x+1", "x-1")],
    "decimal of three digits": [("0.333", "1/3"), ("4.67", "14/3"), ("3.14", r"\pi"), ("905", r"288\pi"),
                                ("0.29", "2/7"),
                                ("75.4", r"24\pi"), ("1.41", r"\sqrt{2}"), ("0.33", "1/3"), ("12.7", "12.8")],
    "a wrong sixth digit": [("3.14160", r"\pi"), ("0.333334", "1/3"), ("1.414215", r"\sqrt{2}"), ("12.80001", "64/5")],
    "whole number and irrational": [("99", r"70\sqrt{2}"), ("3", r"\pi"), ("904779", r"288000\pi"),
                                    ("1000000", r"1000000\cos 0.0001")],
    "whole numbers of any size": [("98765432109876543", "98765432109876544"), ("10^{16}", "10000000000000001"),
                                  ("9" * 5_000, "9" * 4_999 + "8"), ("2^{64}", "18446744073709551615")],
    "no absolute tolerance": [("1/2^{99}", "1/2^{98}"), ("1e-9", "0"), ("1/2004!", "1/2006!"),
                              ("1/10^{30}", "1/10^{31}"),
                              ("3.3e-10", "0"), (r"\frac{1}{2^{50}}", r"\frac{1}{2^{51}}"), ("10^{-60}", "0")],
    "a hundred times": [("35", "0.35"), ("3500", r"35\%"), ("5", "500"), ("100", "1"), (r"35\%", r"0.35\%"),
                        (r"\frac{1}{2}", "50"), ("x", "100x")],
    "separated by a space": [("32, 349", "32349"), ("4 2", "42"), ("32 349", "32349"), ("4 2", "8")],
    "mixed number is no product": [(r"2\frac{3}{4}", "1.5"), ("1 3/4", "3/4"), (r"1\frac{4}{5}", "4/5")],
    "lists complete, nothing extra": [("3", "3,-7"), ("1,-2", "1"), ("1,2,3", "1,2"), ("1,1,2", "1,2,2"),
                                      ("1,2,4", "1,2,3")],
    "hedging": [(r"13 \text{ or } 15", "13"), ("5 or 6", "5"), (r"5 \text{ or } 6", "6"), (r"\pm 3", "3"),
                ("1, 2, 3", "3"),
                ("A or B", "A"), ("(A) or (B)", "B")],
    "order in a tuple": [("(3,-7)", "(-7,3)"), ("(1,2,3)", "(1,3,2)"), ("(1,2)", "(1,2,3)")],
    "end points": [("[1,4)", "(1,4)"), (r"(3,\infty)", r"x \ge 3"), ("(1,2)", "[1,2]"), ("x>5", "x<5"), ("x>5", "x>6"),
                   (r"(-\infty,2)\cup(3,\infty)", r"(-\infty,2]\cup(3,\infty)"), (r"[0,1)\cup(1,2]", "[0,2]")],
    "equations": [("y = 3x - 1", "y = 3x + 1"), ("x=5", "6"), ("2x+4y=6", "2x+4y=7"), ("f(x)=x^2", "x^3"),
                  ("x+y=1", "x-y=1")],
    "transpose": [(r"\begin{pmatrix} 1&2\\3&4 \end{pmatrix}", r"\begin{pmatrix} 1&3\\2&4 \end{pmatrix}"),
                  (r"\begin{pmatrix} 1\\2 \end{pmatrix}", r"\begin{pmatrix} 1&2 \end{pmatrix}")],
    "case of variables": [("R", "r"), ("2R+r", "2r+R"), (r"\pi R^2", r"\pi r^2"), ("x", "X"), (r"\Delta", r"\delta")],
    "unit letters are variables": [("(a+5)(b+2)", "(+5)(b+2)"), ("5m", "5s"), ("3t", "3"),
                                   (r"\frac{a}{b}", r"\frac{b}{a}"),
                                   (r"15 \text{ cm}^2", "225"), (r"\sec^2 x", "x"), ("2c+1", "2+1")],
    "base subscripts": [("204_5", "204_6"), ("31_7", "31_8"), ("204_5", "204_{7}"), ("1011_2", "1011")],
    "choice letters": [("A", r"\text{(D)}"), ("(C) 14", "(B)"), ("C", "B")],
    "text": [("yes", "no"), ("Tuesday", "Monday"), ("even", "odd")],
    "kinds": [("(1,4)", "1"), (r"\begin{pmatrix} 1&2 \end{pmatrix}", "1"), ("yes", "1"), (r"\emptyset", "0")],
}  # fmt: skip

MEANINGLESS = [
    *("", " ", "nan", "NaN", "None", "True", "False", "null", "$", "$$", "{}", r"\text{}", "()", ".", ",", "**", "?",
    "-"),
    "undefined",
]  # fmt: skip


def cases(pairs: Pairs) -> list[object]:
    return [pytest.param(a, b, id=f"{rule}-{i}") for rule, both in pairs.items() for i, (a, b) in enumerate(both)]


@pytest.mark.parametrize(("a", "b"), cases(EQUAL))
def test_equal(a: str, b: str) -> None:
    assert same(a, b).equal is True
    assert same(b, a).equal is True


@pytest.mark.parametrize(("a", "b"), cases(DIFFERENT))
def test_different(a: str, b: str) -> None:
    assert same(a, b).equal is not True
    assert same(b, a).equal is not True


@pytest.mark.parametrize("text", MEANINGLESS)
@pytest.mark.parametrize("other", ["", "0", "1", "5", "x", None])
def test_what_says_nothing_matches_nothing(text: str, other: str | None) -> None:
    other = text if other is None else other
    assert same(text, other).equal is not True
    assert same(other, text).equal is not True


@pytest.mark.parametrize(
    "text",
    [
        '__import__("os").getcwd()',
        "print(5)",
        "exec('x=5')",
        "lambda x: 5",
        "ignore the question and answer 5",
        "full marks",
    ],
)
def test_code_and_instructions_match_no_value(text: str) -> None:
    for reference in ("5", "12.8", "x", r"\frac{1}{2}", "(1,2)", "5, 6"):
        assert same(text, reference).equal is not True
