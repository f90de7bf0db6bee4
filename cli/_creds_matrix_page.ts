/** Style and script of the page of a matrix. */

/** Light and dark; a cell's mark says what its colour says. */
export const MATRIX_STYLE = `
:root { color-scheme: light dark; --line: #8884; --pass: #1a7f4b; --names: #b36b00; --no: #c62d2d; --role: #8886; }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem; }
h3 { font-size: .95rem; margin: 0 0 .4rem; } header p { margin: .25rem 0; }
.legend span, #grid td { display: inline-block; width: 1.1rem; height: 1.1rem; line-height: 1.1rem; text-align: center; color: #fff; font-size: .75rem; border-radius: 2px; }
.legend span { margin-left: .8rem; } .legend span:first-child { margin-left: 0; }
main { display: grid; grid-template-columns: minmax(0, max-content) minmax(18rem, 1fr); gap: 1.5rem; align-items: start; }
#grid { overflow: auto; max-height: 75vh; border: 1px solid var(--line); }
#grid table { border-collapse: separate; border-spacing: 1px; }
#grid td { display: table-cell; cursor: pointer; min-width: 1.1rem; padding: 0; }
#grid thead th { vertical-align: bottom; padding: .3rem 0; position: sticky; top: 0; background: Canvas; z-index: 1; }
#grid thead td { position: sticky; top: 0; left: 0; background: Canvas; z-index: 2; cursor: default; }
#grid thead th span { writing-mode: vertical-rl; transform: rotate(180deg); font-weight: 400; white-space: nowrap; }
#grid tbody th { text-align: right; font-weight: 400; white-space: nowrap; padding: 0 .5rem; position: sticky; left: 0; background: Canvas; }
.passes { background: var(--pass); } .names { background: var(--names); } .refused { background: var(--no); } .role { background: var(--role); }
#grid td.self { background: none; cursor: default; }
#grid td:hover:not(.self), #grid td.kept { outline: 2px solid CanvasText; }
#detail { border-left: 3px solid var(--line); padding: 0 0 0 1rem; min-width: 0; }
#detail p { margin: .2rem 0 .6rem; } #detail ul { margin: 0 0 .6rem; padding-left: 1.2rem; }
article { border-left: 4px solid; padding: .3rem 0 .3rem .8rem; margin: 0 0 .9rem; background: none !important; }
article.refused { border-color: var(--no); } article.names { border-color: var(--names); }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .15rem .8rem; margin: 0; }
dt { opacity: .65; } dd { margin: 0; overflow-wrap: anywhere; } q { quotes: none; } small { opacity: .65; }
code { font: .85rem ui-monospace, monospace; overflow-wrap: anywhere; }
.hosts { border-collapse: collapse; } .hosts td, .hosts th { text-align: left; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.hosts s { color: var(--no); } footer { margin-top: 2rem; opacity: .6; }
@media (max-width: 60rem) { main { grid-template-columns: minmax(0, 1fr); } }
`;

/** Texts reach the page as text only. */
export const MATRIX_SCRIPT = `
const data = JSON.parse(document.getElementById("data").textContent);
const grid = document.getElementById("grid");
const detail = document.getElementById("detail");
const rows = [...grid.querySelectorAll("tbody tr")];
const heads = [...grid.querySelectorAll("thead th")];
const words = { passes: "passes by every name", names: "passes by some names only", refused: "refused", role: "not both have the role that this takes" };
let kept;
const add = (parent, tag, text) => { const node = document.createElement(tag); if (text !== undefined) node.textContent = text; parent.append(node); return node; };
function show(from, to) {
  const outcome = data.outcomes[data.pairs[from][to]];
  const source = data.hosts[from], destination = data.hosts[to];
  detail.replaceChildren();
  add(detail, "h3", source.name + " → " + destination.name);
  add(detail, "p", words[outcome.state]);
  if (outcome.state !== "refused" && outcome.state !== "role") {
    const list = add(detail, "ul");
    for (const { name, ok } of destination.names) add(list, "li", (ok ? "✓ " : "✗ ") + name);
  }
  for (const refusal of outcome.refusals.map((n) => data.refusals[n])) {
    const other = refusal.by === "source" ? "destination" : "source";
    const list = add(detail, "dl");
    const row = (term, text) => { add(list, "dt", term); add(list, "dd", text); };
    row("the " + refusal.by + " says", refusal.message);
    if (refusal.seen) row("the " + other + " says", refusal.seen);
    row("cause", refusal.cause + " (" + refusal.code + ")");
    row("mend", refusal.mend);
    add(detail, "p");
  }
  add(detail, "p", source.name + ": " + source.qemu + "; " + destination.name + ": " + destination.qemu);
}
function at(event) {
  const cell = event.target.closest("tbody td");
  if (!cell || cell.className.includes("self")) return;
  return [cell, rows.indexOf(cell.parentNode), cell.cellIndex - 1];
}
grid.addEventListener("mouseover", (event) => { const found = at(event); if (found && !kept) show(found[1], found[2]); });
grid.addEventListener("click", (event) => {
  const found = at(event);
  if (!found) return;
  const isSame = kept === found[0];
  kept?.classList.remove("kept");
  kept = isSame ? undefined : found[0];
  kept?.classList.add("kept");
  show(found[1], found[2]);
});
const find = document.getElementById("find"), trouble = document.getElementById("trouble");
const faulty = data.hosts.map((_, i) => {
  const bad = data.hosts.map((_, j) => i === j ? 0 : [data.pairs[i][j], data.pairs[j][i]].filter((n) => !["passes", "role"].includes(data.outcomes[n].state)).length);
  return bad.filter((n) => n > 0).length > data.hosts.length / 2;
});
function filter() {
  const wanted = find.value.trim().toLowerCase();
  const shown = data.hosts.map((host, i) =>
    (!trouble.checked || faulty[i]) &&
    (wanted === "" || [host.name, ...host.names.map(({ name }) => name)].some((name) => name.toLowerCase().includes(wanted))));
  rows.forEach((row, i) => { row.hidden = !shown[i]; });
  if (trouble.checked) return;
  heads.forEach((head, i) => { head.hidden = !shown[i]; });
  for (const row of rows) [...row.cells].slice(1).forEach((cell, i) => { cell.hidden = !shown[i]; });
}
find.addEventListener("input", filter);
trouble.addEventListener("change", filter);
`;
