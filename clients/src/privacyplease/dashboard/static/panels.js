// Loads the parts of a page that take longer, and looks again at what is live.

const LIVE_MS = 30_000;

async function fetched(address) {
  const response = await fetch(address, { headers: { "X-Fragment": "1" }, redirect: "manual" });
  if (response.type === "opaqueredirect") location.reload(); // logged out meanwhile
  return { ok: response.ok, html: await response.text() };
}

async function load(panel) {
  const body = panel.querySelector(".body");
  panel.setAttribute("aria-busy", "true");
  try {
    const { ok, html } = await fetched(panel.dataset.panel);
    // What is already shown is worth more than the reason why more is not.
    if (ok || !("keep" in panel.dataset)) body.innerHTML = html;
  } catch {
    if (!("keep" in panel.dataset)) body.innerHTML = '<div class="state away" role="alert"><h3>The dashboard does not answer</h3></div>';
  }
  panel.removeAttribute("aria-busy");
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

for (const panel of document.querySelectorAll("[data-panel]")) load(panel);
for (const live of document.querySelectorAll("[data-live]")) setInterval(refresh, LIVE_MS, live);
for (const list of document.querySelectorAll("[data-names]"))
  fetched(list.dataset.names).then(({ ok, html }) => ok && (list.innerHTML = html), () => {});
for (const from of document.querySelectorAll(".ask .from input"))
  from.addEventListener("input", () => (from.form.querySelector('[name="range"][value=""]').checked = true));
