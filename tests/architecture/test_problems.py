"""S3: the type of every problem opens a page, so every code in the code is explained there."""

import ast
import re
from collections.abc import Iterator, Mapping

from services.manufacturing.domain.refusal import ReasonCode
from shared.contracts.vocabulary import RefusalCode
from shared.web.documentation import problem_texts
from tests.architecture.tree import Module, modules

_CODE = re.compile(r"[a-z]+(?:-[a-z]+)+")
#: calls that end as problems: the exception itself, and the refusals that endpoints turn into one
REFUSALS = frozenset(
    {"Problem", "NotSignableError", "NotPlannableError", "ReleaseRefusal", "DoNotStart"}
)


def undocumented(module: Module, texts: Mapping[str, str]) -> Iterator[str]:
    """The codes of a module's refusals that no page explains."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in REFUSALS:
            for argument in node.args[:2]:
                match argument:
                    case ast.Constant(value=str() as code) if _CODE.fullmatch(code):
                        if code not in texts:
                            yield f"{module.path}:{node.lineno} {code}"
                    case _:
                        continue


def test_every_problem_code_is_explained_in_problems_md() -> None:
    texts = problem_texts()

    assert [fault for module in modules() for fault in undocumented(module, texts)] == []


def test_every_reason_of_a_refused_step_is_explained() -> None:
    reasons = {code.value for kind in (RefusalCode, ReasonCode) for code in kind}

    assert reasons - problem_texts().keys() == set()


def test_a_planted_code_is_found() -> None:
    planted = Module("services/intake/x.py", 'raise Problem(409, "no-such-page", "x")')

    assert list(undocumented(planted, {})) == ["services/intake/x.py:1 no-such-page"]
