// Loads the slower parts of a page after the page itself, and refreshes live data.

const AT_ONCE = 2; // from the top of the page
const UNAVAILABLE = '<div class="state unavailable" role="alert"><h3>The dashboard does not respond</h3></div>';

async function fetched(address) {
  const response = await fetch(address, { headers: { "X-Fragment": "1" }, redirect: "manual" });
  if (response.type === "opaqueredirect") location.reload(); // the login has ended
  return { ok: response.ok, html: await response.text() };
}

async function load(panel) {
  const body = panel.querySelector(".body");
  const { ok, html } = await fetched(panel.dataset.panel).catch(() => ({ ok: false, html: UNAVAILABLE }));
  if (ok || !("keep" in panel.dataset)) {
    body.innerHTML = html;
  } else {
    for (const pending of body.querySelectorAll(".pending")) pending.textContent = pending.closest("dd") ? "?" : "";
    body.insertAdjacentHTML("beforeend", html);
  }
  panel.removeAttribute("aria-busy");
  await loadAll([...body.querySelectorAll("[data-panel]")]); // only now, so that they do not slow it down
}

async function loadAll(panels) {
  for (let panel; (panel = panels.shift()); ) await load(panel);
}

function watch(live) {
  setTimeout(async () => {
    if (!document.hidden) await refresh(live);
    watch(live);
  }, live.dataset.seconds * 1_000);
}

async function refresh(live) {
  try {
    const { ok, html } = await fetched(live.dataset.live);
    if (ok) replace(live, html);
  } catch {
    // The next refresh may succeed; the page shows the time of its number.
  }
}

function replace(live, html) {
  const regions = () => [...live.querySelectorAll("[tabindex]")];
  const positions = regions().map((region) => [region.scrollTop, region.scrollLeft, region === document.activeElement]);
  live.innerHTML = html;
  for (const [at, region] of regions().entries()) {
    const [top, left, focused] = positions[at] ?? [0, 0, false];
    region.scrollTo(left, top);
    if (focused) region.focus({ preventScroll: true });
  }
}

async function suggest(list) {
  const { ok, html } = await fetched(list.dataset.names).catch(() => ({ ok: false }));
  if (ok) list.innerHTML = html;
}

const panels = [...document.querySelectorAll("[data-panel]")];
for (let lane = 0; lane < AT_ONCE; lane++) loadAll(panels);
document.querySelectorAll("[data-live]").forEach(watch);
for (const list of document.querySelectorAll("[data-names]"))
  list.parentElement.querySelector(`[list="${list.id}"]`).addEventListener("focus", () => suggest(list), { once: true });
for (const from of document.querySelectorAll(".ask .from input"))
  from.addEventListener("input", () => (from.form.querySelector('[name="range"][value=""]').checked = true));
for (const preset of document.querySelectorAll('.choices [name="range"]:not([value=""])'))
  preset.addEventListener("change", () => (preset.form.elements.from.value = "")); // it would override the preset
for (const button of document.querySelectorAll("[data-busy]"))
  button.form.addEventListener("submit", () => {
    button.textContent = button.dataset.busy;
    button.disabled = true;
  });
