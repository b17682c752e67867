// Loads the parts of a page that take longer, and looks again at what is live.

const LIVE_MS = 30_000;
const AT_ONCE = 2; // the upper parts of a page first
const AWAY = '<div class="state away" role="alert"><h3>The dashboard does not answer</h3></div>';

async function fetched(address) {
  const response = await fetch(address, { headers: { "X-Fragment": "1" }, redirect: "manual" });
  if (response.type === "opaqueredirect") location.reload(); // logged out meanwhile
  return { ok: response.ok, html: await response.text() };
}

async function load(panel) {
  const body = panel.querySelector(".body");
  const { ok, html } = await fetched(panel.dataset.panel).catch(() => ({ ok: false, html: AWAY }));
  if (ok || !("keep" in panel.dataset)) {
    body.innerHTML = html;
  } else {
    for (const pending of body.querySelectorAll(".pending")) pending.textContent = "?";
    body.insertAdjacentHTML("beforeend", html);
  }
  panel.removeAttribute("aria-busy");
}

async function loadAll(panels) {
  for (let panel; (panel = panels.shift()); ) await load(panel);
}

async function refresh(live) {
  if (document.hidden) return;
  try {
    const { ok, html } = await fetched(live.dataset.live);
    if (ok) live.innerHTML = html;
  } catch {
    // The next look may succeed; the time beside the number tells how old it is.
  }
}

async function suggest(list) {
  const { ok, html } = await fetched(list.dataset.names).catch(() => ({ ok: false }));
  if (ok) list.innerHTML = html;
}

const panels = [...document.querySelectorAll("[data-panel]")];
for (let lane = 0; lane < AT_ONCE; lane++) loadAll(panels);
for (const live of document.querySelectorAll("[data-live]")) setInterval(refresh, LIVE_MS, live);
for (const list of document.querySelectorAll("[data-names]"))
  list.parentElement.querySelector(`[list="${list.id}"]`).addEventListener("focus", () => suggest(list), { once: true });
for (const from of document.querySelectorAll(".ask .from input"))
  from.addEventListener("input", () => (from.form.querySelector('[name="range"][value=""]').checked = true));
for (const button of document.querySelectorAll("[data-busy]"))
  button.form.addEventListener("submit", () => {
    button.textContent = button.dataset.busy;
    button.disabled = true;
  });
