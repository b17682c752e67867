import pytest

from privacyplease.ingest.errors import LayoutError
from privacyplease.ingest.wifi.layout import STREAM_LAYOUT, detect

HEADER = "Client MAC Address,AP Name,Association Time,Session Duration"
ROW = "02:aa:00:00:33:01,ap-33,2024-02-02T10:00:00Z,600"
STREAM = "\t02:fb:ae:12:7e:8d\t2024-10-01T00:00:00Z\t\tap-14\t\t\t\t\t\t\t60\t\t"


@pytest.mark.parametrize(
    "preamble",
    [
        "Client Sessions\nReport criteria\nSSID,All,Protocol,All\n\n",
        "Unique clients\nSSID,Protocol,Sessions\ncampus,802.11ax,1\n\nClient Sessions\n",
        "SSID,Vendor,Location,Duration,VLAN\n",
        "sep=,\n",
        STREAM + "\n",  # as many tabs as the stream format has
    ],
)
def test_the_header_is_the_first_line_with_all_required_columns(preamble: str) -> None:
    layout = detect(f"{preamble}{HEADER}\n{ROW}\n".encode())
    assert layout.columns == ("client_mac", "ap_name", "association_time", "session_duration")
    assert layout.preamble == preamble.count("\n") + 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_usual_delimiter_is_recognised(delimiter: str) -> None:
    text = f"sep={delimiter}\n{HEADER.replace(',', delimiter)}\n{ROW.replace(',', delimiter)}\n"
    assert detect(text.encode()).delimiter == delimiter


def test_without_a_header_fourteen_tab_separated_fields_are_the_stream_format() -> None:
    assert detect(f"{STREAM}\n".encode()) == STREAM_LAYOUT


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("<html><body>Session expired, please log in</body></html>", "a page or XML"),
        ("  <!DOCTYPE html>", "a page or XML"),
        ('[{"mac": "02:aa:00:00:33:01"}]', "JSON"),
        ("MAC-Adresse,AP-Name,Verbindungszeit,Dauer\n02:aa:00:00:33:01,ap-1,x,y\n", "titles are known in English"),
        ("02:aa:00:00:33:01,ap-1,2024-02-02T10:00:00Z,600\n", "titles are known in English"),
    ],
)
def test_what_is_no_log_is_refused_in_its_own_words(content: str, kind: str) -> None:
    with pytest.raises(LayoutError, match=kind) as raised:
        detect(content.encode())
    assert "02:aa" not in str(raised.value)


def test_a_refusal_names_only_titles_that_are_known() -> None:
    with pytest.raises(LayoutError) as raised:
        detect(b"Client MAC Address,AP Name,02:aa:00:00:33:01,anna\n")
    assert str(raised.value) == (
        "expected the columns 'Association Time', 'Session Duration' in the header too, got: "
        "Client MAC Address, AP Name"
    )
