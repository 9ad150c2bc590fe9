"""The part of the page that answers: all combinations as marks and rows, to filter, sort and point at."""

import json

from profiles.evidence.combining.combination import sizes
from profiles.evidence.comparing.overview import Overview
from profiles.reports.page.elements import text
from profiles.reports.pictures.palette import BLUE, ORANGE

SHOWN = 200

_STYLE = f"""
.explorer form{{display:flex;flex-wrap:wrap;gap:8px 20px;margin:12px 0;font-size:15px}}
.explorer label{{display:flex;gap:8px;align-items:center}}
.explorer select,.explorer input{{font:inherit;color:var(--ink);background:var(--paper);border:1px solid var(--muted);
border-radius:4px;padding:3px 6px;max-width:9em}}
.explorer svg{{width:100%;height:auto;display:block;touch-action:manipulation}}
.explorer text{{fill:var(--ink);font-size:12px}}
.explorer .axis{{stroke:var(--line);stroke-width:1}}
.explorer .mark{{fill:{BLUE};fill-opacity:.65;stroke:none;cursor:pointer}}
.explorer .few{{fill:var(--paper);stroke:{BLUE};stroke-width:1.3}}
.explorer .chosen{{fill:{ORANGE};fill-opacity:1;stroke:var(--ink);stroke-width:1.5}}
.explorer output{{display:block;min-height:3.2em;font-size:15px}}
.explorer th button{{all:unset;cursor:pointer;font-weight:600}}
.explorer th button:focus-visible{{outline:2px solid var(--link)}}
.explorer tbody tr{{cursor:pointer}}
.explorer tr.chosen td{{background:var(--band)}}
"""

_SCRIPT = """
(() => {
const data = JSON.parse(document.getElementById("combinations").textContent);
const form = document.querySelector(".explorer form"), plot = document.querySelector(".explorer svg");
const body = document.querySelector(".explorer tbody"), said = document.querySelector(".explorer output");
const count = document.querySelector(".explorer .count");
const points = value => (100 * value).toFixed(2).replace("-", "\\u2212");
let order = "estimate", rising = true, chosen = null;
const keys = {removed: one => one.removed.join(), mean: one => one.mean, std: one => one.std,
  count: one => one.count, estimate: one => one.estimate ? one.estimate[0] : Infinity};
function wanted() {
  const size = form.size.value, least = Number(form.least.value), dataset = form.dataset.value;
  const blocks = form.blocks.value.split(/[^0-9]+/).filter(part => part).map(Number);
  const key = keys[order], sign = rising ? 1 : -1;
  return data.filter(one => (!size || one.removed.length === Number(size)) && one.count >= least
    && (!dataset || dataset in one.drops) && blocks.every(block => one.removed.includes(block)))
    .sort((a, b) => sign * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
function element(name, attributes, content) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (content !== undefined) made.textContent = content;
  return made;
}
function scale(values, low, high) {
  const least = Math.min(...values, 0), most = Math.max(...values, 0.001), pad = (most - least) * 0.04;
  const place = value => low + (value - least + pad) / (most - least + 2 * pad) * (high - low);
  const step = [1, 2, 5, 10, 20, 50].map(one => one / 100).find(one => (most - least) / one <= 8) || 1;
  const ticks = [];
  for (let at = Math.ceil(least / step) * step; at <= most + 1e-9; at += step) ticks.push(at);
  return {place, ticks};
}
function draw(found) {
  const narrow = plot.clientWidth < 600, width = narrow ? 360 : 900, height = narrow ? 320 : 380;
  plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
  plot.replaceChildren();
  const known = found.filter(one => one.estimate);
  const x = scale(known.map(one => one.mean), 52, width - 12);
  const y = scale(known.map(one => one.estimate[0]), height - 44, 12);
  for (const tick of x.ticks) {
    plot.append(element("line", {class: "axis", x1: x.place(tick), x2: x.place(tick), y1: 12, y2: height - 44}));
    plot.append(element("text", {x: x.place(tick), y: height - 28, "text-anchor": "middle"}, Math.round(100 * tick)));
  }
  for (const tick of y.ticks) {
    plot.append(element("line", {class: "axis", x1: 52, x2: width - 12, y1: y.place(tick), y2: y.place(tick)}));
    plot.append(element("text", {x: 46, y: y.place(tick) + 4, "text-anchor": "end"}, Math.round(100 * tick)));
  }
  plot.append(element("text", {x: (width + 40) / 2, y: height - 8, "text-anchor": "middle"},
    "measured mean drop, points"));
  plot.append(element("text", {x: 14, y: height / 2 - 16, "text-anchor": "middle",
    transform: `rotate(-90 14 ${height / 2 - 16})`}, "estimate over all data sets, points"));
  for (const one of known) {
    const kind = one === chosen ? " chosen" : one.count < 3 ? " few" : "";
    const mark = element("circle", {class: "mark" + kind, cx: x.place(one.mean), cy: y.place(one.estimate[0]),
      r: one === chosen ? 7 : 3 + Math.min(one.count, 8) / 2});
    mark.append(element("title", {}, `[${one.removed.join(", ")}]`));
    mark.addEventListener("click", () => choose(one));
    mark.addEventListener("pointerenter", () => tell(one));
    plot.append(mark);
  }
}
function tell(one) {
  const drops = Object.entries(one.drops).map(([name, drop]) => `${name} ${points(drop)}`).join(", ");
  const guess = one.estimate ? `over all data sets ${points(one.estimate[0])}
    [${points(one.estimate[1])}, ${points(one.estimate[2])}]` : "no estimate";
  said.textContent = `[${one.removed.join(", ")}]: measured ${points(one.mean)} \\u00b1 ${points(one.std)} points
    (${drops}); ${guess}${one.rules.length ? "; chosen by " + one.rules.join(", ") : ""}`;
}
function choose(one) { chosen = one; tell(one); show(); }
function rows(found) {
  body.replaceChildren(...found.slice(0, SHOWN).map(one => {
    const row = document.createElement("tr");
    const guess = one.estimate || [];
    for (const cell of [`[${one.removed.join(", ")}]`, points(one.mean), points(one.std), one.count,
        guess.length ? points(guess[0]) : "\\u2013",
        guess.length ? `${points(guess[1])} to ${points(guess[2])}` : "\\u2013", one.rules.join(", ")]) {
      row.insertCell().textContent = cell;
    }
    [1, 2, 3, 4, 5].forEach(place => row.cells[place].className = "number");
    if (one === chosen) row.className = "chosen";
    row.addEventListener("click", () => choose(one));
    return row;
  }));
}
function show() {
  const found = wanted();
  count.textContent = found.length > SHOWN ? `${found.length} combinations, the first SHOWN in the table`
    : `${found.length} of ${data.length} combinations`;
  draw(found);
  rows(found);
}
form.addEventListener("input", show);
form.addEventListener("submit", event => event.preventDefault());
for (const button of document.querySelectorAll(".explorer th button")) button.addEventListener("click", () => {
  rising = order === button.dataset.key ? !rising : true;
  order = button.dataset.key;
  for (const head of document.querySelectorAll(".explorer th")) head.removeAttribute("aria-sort");
  button.parentElement.setAttribute("aria-sort", rising ? "ascending" : "descending");
  show();
});
addEventListener("resize", show);
show();
})();
""".replace("SHOWN", str(SHOWN))


def explorer(overview: Overview) -> str:
    """The HTML of the explorer, with its data, look and script; names from files only ever become text."""
    study = overview.study
    least = "".join(f"<option>{count}</option>" for count in range(1, len(study.datasets) + 1))
    by_size = "".join(f"<option>{size}</option>" for size in sizes(study.combinations))
    names = "".join(f"<option>{text(name)}</option>" for name in study.datasets)
    heads = "".join(
        f'<th scope=col{align}><button type=button data-key="{key}">{title}</button></th>'
        if key
        else f"<th>{title}</th>"
        for key, title, align in (
            ("removed", "removed", ""),
            ("mean", "drop", " class=number"),
            ("std", "spread", " class=number"),
            ("count", "data sets", " class=number"),
            ("estimate", "estimate", " class=number"),
            ("", "interval", ""),
            ("", "chosen by", ""),
        )
    )
    data = json.dumps(_data(overview), ensure_ascii=True).replace("<", "\\u003c")
    return (
        f'<section id="explorer" class="explorer"><style>{_STYLE}</style><h3>All combinations</h3>\n<form>'
        f'<label>blocks removed <select name="size"><option value="">any</option>{by_size}</select></label>'
        f'<label>data sets at least <select name="least">{least}</select></label>'
        f'<label>tried on <select name="dataset"><option value="">any</option>{names}</select></label>'
        '<label>with blocks <input name="blocks" inputmode="numeric" placeholder="4, 13"></label></form>\n'
        '<p class="count" aria-live="polite"></p>'
        '<svg role="img" aria-label="Estimated drop over all data sets against the measured mean drop"></svg>\n'
        '<output aria-live="polite">Point at a mark, or choose a row, for its drops by data set. Larger marks were '
        "tried on more data sets; hollow ones on fewer than three.</output>\n"
        f'<div class=scroll role=region tabindex=0 aria-label="All combinations"><table><thead><tr>{heads}</tr></thead>'
        f'<tbody></tbody></table></div>\n<script type="application/json" id="combinations">{data}</script>'
        f"<script>{_SCRIPT}</script></section>\n"
    )


def _data(overview: Overview) -> list[dict[str, object]]:
    recommended = overview.recommended
    rules = {one.combination.removed: one.rules for size in recommended.by_size.values() for one in size}
    places = recommended.estimates.places
    return [
        {
            "removed": one.removed,
            "mean": one.mean,
            "std": one.std,
            "count": one.count,
            "drops": dict(one.drops),
            "estimate": recommended.estimates.interval(one.removed) if one.removed in places else None,
            "rules": rules.get(one.removed, ()),
        }
        for one in overview.study.combinations
        if one.removed
    ]
