"""Who sees what: roles from the policy, logins by password and by certificate, and whose name a question is recorded
under.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect

from tests.integration.dashboard.conftest import PASSWORD, PEOPLE, POLICY, Visit, log_in
from tests.services.dashboard import dashboard
from tests.services.stack import Stack, stack

DEVICE = "02:00:00:00:00:01"
LOG = f"""Client MAC Address,AP Name,Association Time,Session Duration
{DEVICE},ap-1,Tue Oct 01 08:00:00 UTC 2024,30 min 0 sec
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("store")
    (folder / "log.csv").write_text(LOG)
    with stack(f"sqlite:///{folder}/cells.db") as running:
        policy = running.home / "proxy" / "policy.toml"
        policy.write_text(policy.read_text() + POLICY)
        running.command("ingest", "wifi", str(folder / "log.csv"))
        yield running


@pytest.fixture(scope="module")
def address(running: Stack) -> Iterator[str]:
    with dashboard(running.home, operator=PASSWORD, **dict.fromkeys(PEOPLE, PASSWORD)) as address:
        yield address


@pytest.fixture(scope="module")
def secure_address(running: Stack) -> Iterator[str]:
    with dashboard(running.home, "--tls", str(running.home / "certificates" / "proxy")) as address:
        yield address


@pytest.mark.parametrize(
    ("person", "pages"),
    [
        ("operator", ["Now", "Occupancy", "Dwell", "Presence", "Bikes", "What the server sees", "System"]),
        ("counter", ["Now", "Occupancy", "Dwell"]),
        ("warden", ["Presence"]),
        ("runner", ["What the server sees", "System"]),
        ("nobody", []),
    ],
)
def test_the_navigation_lists_the_pages_of_the_users_roles(visit: Visit, person: str, pages: list[str]) -> None:
    page = visit("/now", person)
    assert page.locator("nav a").all_inner_texts() == pages


def test_a_page_of_another_role_is_forbidden(visit: Visit, address: str) -> None:
    page = visit("/now", "counter")
    for path in ("/presence", "/bikes", "/server", "/system", "/system/audit", "/bikes/availability?contract=lund"):
        response = page.goto(f"{address}{path}")
        assert response is not None
        assert response.status == 403
        assert "You do not have access to this page" in page.inner_text("main")
    posted = page.request.post(f"{address}/presence", form={"device": DEVICE, "purpose": "curiosity"})
    assert posted.status == 400  # without a CSRF token; with one it is refused like the page
    token = page.locator("[name=csrf_token]").first.get_attribute("value") or ""
    for path in ("/presence", "/system"):
        posted = page.request.post(f"{address}{path}", form={"csrf_token": str(token), "device": DEVICE})
        assert posted.status == 403


def test_who_runs_the_system_does_not_see_its_audit_log(visit: Visit, address: str) -> None:
    page = visit("/system", "runner")
    expect(page.locator("#storage")).to_have_text("reachable")
    expect(page.get_by_text("Audit log of the last 24 hours")).to_have_count(0)
    assert page.request.get(f"{address}/system/audit").status == 403


def test_a_question_about_a_person_is_recorded_under_the_name_of_the_user(visit: Visit, running: Stack) -> None:
    page = visit("/presence", "warden")
    page.fill("[name=device]", DEVICE)
    page.fill("[name=to]", "2024-10-01T12:00:00")
    page.select_option("[name=purpose]", "fire drill")
    page.click("main button.primary")
    expect(page.locator("#verdict")).to_have_text("Seen")
    entries = [
        entry
        for entry in running.client.audit_entries(who="warden", rpc="PresenceService/FindSessions")
        if entry.purpose == "fire drill" and entry.event == "asked"
    ]
    assert [(entry.who, entry.on_behalf_of) for entry in entries] == [("dashboard", "warden")]
    system = visit("/system")
    expect(system.locator("#audit tbody tr", has_text="fire drill").first).to_contain_text("warden via dashboard")


def test_a_question_without_a_purpose_or_a_valid_device_is_refused(visit: Visit) -> None:
    page = visit("/presence", "warden")
    page.fill("[name=device]", DEVICE)
    page.click("main button.primary")
    expect(page.locator(".state.refused")).to_contain_text("The policy does not allow this")
    page.fill("[name=device]", "not a device")
    page.select_option("[name=purpose]", "fire drill")
    page.click("main button.primary")
    expect(page.locator(".state.refused")).to_contain_text("This question is not valid")


def test_pages_redirect_to_the_login_without_a_login(visit: Visit, address: str) -> None:
    page = visit("/now", person=None)
    for path in ("/now", "/presence", "/system/audit"):
        page.goto(f"{address}{path}")
        assert page.url == f"{address}/login"


def test_the_cookie_of_an_ended_session_is_not_accepted(visit: Visit, browser: Browser, address: str) -> None:
    page = visit("/login", person=None)
    log_in(page, address, "nobody")
    with_cookie = browser.new_context(storage_state=page.context.storage_state())
    page.click("text=Log out")
    assert page.url == f"{address}/login"
    stale = with_cookie.new_page()
    stale.goto(f"{address}/now")
    assert stale.url == f"{address}/login"
    with_cookie.close()


def test_only_five_wrong_passwords_are_checked_even_if_many_arrive_at_once(visit: Visit, address: str) -> None:
    page = visit("/login", person=None)
    token = page.locator("[name=csrf_token]").get_attribute("value")
    header = "; ".join(f"{cookie['name']}={cookie['value']}" for cookie in page.context.cookies())

    def attempt(password: str) -> int:
        form = urlencode({"csrf_token": token, "name": "mallory", "password": password})
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        headers = {"Cookie": header, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/login", form, headers)
        return connection.getresponse().status

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(attempt, ["wrong"] * 12)) == [401] * 5 + [429] * 7
    log_in(page, address, "mallory", PASSWORD)
    expect(page.locator("[role=alert]")).to_contain_text("Too many attempts")


def test_a_client_certificate_logs_in_the_user_that_it_names(running: Stack, secure_address: str) -> None:
    response = get(secure_address, "/now", folder_of(running, "counter"), folder_of(running, "operator"))
    page = response.read().decode()
    assert response.status == 200
    assert '<span class="who">counter</span>' in page
    assert "Log out" not in page  # the browser would show the certificate again
    assert get(secure_address, "/system", folder_of(running, "counter"), folder_of(running, "operator")).status == 403
    assert get(secure_address, "/system", folder_of(running, "operator"), folder_of(running, "operator")).status == 200


def test_without_a_certificate_the_page_redirects_to_the_login(running: Stack, secure_address: str) -> None:
    response = get(secure_address, "/now", None, folder_of(running, "operator"))
    assert (response.status, response.headers["Location"]) == (302, "/login")
    form = get(secure_address, "/login", None, folder_of(running, "operator"))
    assert form.headers["Set-Cookie"].startswith("__Host-session=")
    assert "Secure" in form.headers["Set-Cookie"]


def test_a_certificate_of_another_ca_is_refused(running: Stack, secure_address: str) -> None:
    stranger = running.home / "certificates" / "proxy-to-storage"  # issued by the CA of the other hop
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        get(secure_address, "/now", stranger, folder_of(running, "operator"))


def test_a_certificate_whose_name_is_not_in_the_policy_is_forbidden(running: Stack, secure_address: str) -> None:
    response = get(secure_address, "/now", folder_of(running, "mallory"), folder_of(running, "operator"))
    assert response.status == 403


def test_the_dashboard_command_issues_its_own_certificate(running: Stack, secure_address: str) -> None:
    shown = json.loads(running.command("certs", "show", "--json"))
    assert "clients/dashboard" in [certificate["name"] for certificate in shown["certificates"]]


def get(address: str, path: str, certificate: Path | None, ca: Path) -> http.client.HTTPResponse:
    context = ssl.create_default_context(cafile=str(ca / "ca.crt"))
    if certificate:
        context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
    connection = http.client.HTTPSConnection(urlsplit(address).netloc, context=context, timeout=30)
    connection.request("GET", path, headers={"privacyplease.client": "operator", "Privacyplease-Client": "operator"})
    return connection.getresponse()


def folder_of(running: Stack, name: str) -> Path:
    folder = running.home / "certificates" / "clients" / name
    if not folder.exists():
        running.command("certs", "issue", name)
    return folder
