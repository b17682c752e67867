from hypothesis import given
from hypothesis import strategies as st

from privacyplease.proxy.audit.fields import MARK, bounded, written_bytes


@given(text=st.text(max_size=60), most=st.integers(6, 100))
def test_a_text_takes_at_most_as_many_bytes_as_allowed(text: str, most: int) -> None:
    cut = bounded(text, most)
    assert written_bytes(cut) <= most
    if written_bytes(text) <= most:
        assert cut == text
    else:
        assert cut.endswith(MARK)
        assert text.startswith(cut.removesuffix(MARK))
        assert written_bytes(text[: len(cut)]) + written_bytes(MARK) > most
