"""The reader of documents itself: it must notice when an answer differs."""

import pytest
from readme.document import Command, File, Reader, steps

ID = "01990000-0000-7000-8000-00000000000"
PAGE = f"""
# Title

```python
# hello.py
print("hello")
```

```sh
make run
```

```console
$ curl -d '{{
  "a": 1}}' \\
    http://127.0.0.1:8000
{{"task_id":"{ID}1"}}
$ curl http://127.0.0.1:8000/tasks/{ID}1
done …
```
"""


def test_a_page_is_read_as_files_and_commands():
    file, first, second = steps(PAGE)
    assert file == File("hello.py", '# hello.py\nprint("hello")\n')
    assert first.line.splitlines()[-1] == "    http://127.0.0.1:8000"
    assert first.shows == f'{{"task_id":"{ID}1"}}\n'
    assert second.shows == "done …\n"


def test_an_id_is_the_same_in_later_commands(tmp_path):
    reader = Reader(tmp_path)
    _, first, second = steps(PAGE)
    reader.check(first, f'{{"task_id":"{ID}9"}}\n')
    assert reader.typed(second) == f"curl http://127.0.0.1:8000/tasks/{ID}9"
    reader.check(second, "done in 3 s")


@pytest.mark.parametrize("printed", ["", '{"b":1}', '{"a":2}', '{"a":1}x'])
def test_another_answer_fails(tmp_path, printed):
    with pytest.raises(AssertionError, match="the document shows"):
        Reader(tmp_path).check(Command("curl", '{"a":1}\n'), printed)


def test_times_may_differ(tmp_path):
    shown = '{"ts":"1760000000.1","created_ms":1760000000100}'
    printed = '{"ts":"1790000000.25","created_ms":1790000000250}'
    Reader(tmp_path).check(Command("curl", shown), printed)
