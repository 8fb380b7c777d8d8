"""The same worker file on gmi-ieops and on ours answers alike, but for listed differences."""

from contextlib import ExitStack

import pytest
from ieops.conversation import REQUESTS, TALKS
from ieops.differences import PAGES, listed
from ieops.yard import VERSIONS, ask, converse, in_common, in_short, working

LISTED = listed(PAGES[0])


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Who answers what to which question; each worker is started, and asked, once."""
    with ExitStack() as started:
        yards = {
            who: started.enter_context(working(who, tmp_path_factory.mktemp(f"ieops-{who}")))
            for who in ("ours", *VERSIONS)
        }
        known: dict[tuple[str, str], dict | list] = {}

        def answer(who, question, of):
            if (who, question.name) not in known:
                known[who, question.name] = of(yards[who], question)
            return known[who, question.name]

        yield answer


def _request(yard, request):
    return in_common(request, ask(yard, request))


def _agree(version, name, theirs, ours):
    if (name, version) in LISTED:
        assert ours != theirs, f"{name!r} is listed as a difference from {version}, and is none"
    else:
        assert ours == theirs, (
            f"{name!r} differs from {version}\n  theirs: {in_short(theirs)}\n"
            f"  ours:   {in_short(ours)}"
        )


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.name)
def test_a_request_is_answered_alike(answers, request_, version):
    if request_.since > version:
        pytest.skip(f"gmi-ieops {version} does not know what this is about")
    theirs = answers(version, request_, _request)
    ours = answers("ours", request_, _request)
    _agree(version, request_.name, theirs, ours)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.name)
def test_a_conversation_goes_alike(answers, talk, version):
    if talk.since > version:
        pytest.skip(f"gmi-ieops {version} does not know what this is about")
    _agree(version, talk.name, answers(version, talk, converse), answers("ours", talk, converse))


def test_every_question_has_a_name_of_its_own():
    names = [question.name for question in (*REQUESTS, *TALKS)]
    assert len(set(names)) == len(names)


def test_every_listed_difference_is_asked_about():
    asked = {question.name for question in (*REQUESTS, *TALKS)}
    assert {question for question, _ in LISTED} <= asked


def test_both_languages_list_the_same_differences():
    assert listed(PAGES[1]) == LISTED
