"""The look of the page: one column that narrows with the window, dark where the reader prefers it."""

from profiles.reports.pictures.palette import BAND, BLUE, DARK, GRID, INK, MUTED, PAPER

# Below this width pictures are shown in their narrow form.
NARROW_BELOW_PX = 760


def _colors(*, dark: bool) -> str:
    named = {"ink": INK, "muted": MUTED, "line": GRID, "band": BAND, "paper": PAPER, "link": BLUE}
    return "".join(f"--{name}:{DARK[color] if dark else color};" for name, color in named.items())


STYLE_SHEET = f"""
:root{{color-scheme:light dark;{_colors(dark=False)}}}
@media (prefers-color-scheme: dark){{:root{{{_colors(dark=True)}}}}}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}}
main{{max-width:1032px;margin:0 auto;padding:24px 36px 64px}}
h1{{font-size:28px;line-height:1.25;margin:0 0 8px}}
h2{{font-size:22px;line-height:1.3;margin:56px 0 8px;padding-top:20px;border-top:1px solid var(--line)}}
h3{{font-size:18px;line-height:1.3;margin:40px 0 10px}}
h1,h2,h3,p,figcaption{{overflow-wrap:anywhere}}
p{{margin:0 0 12px}}
.lead,figcaption{{color:var(--muted)}}
a{{color:var(--link)}}
nav ul{{display:flex;flex-wrap:wrap;gap:4px 20px;list-style:none;margin:12px 0;padding:0}}
figure{{margin:0 0 8px}}
img{{display:block;width:100%;height:auto}}
figcaption{{font-size:15px;margin-top:6px;max-width:75ch}}
figcaption ul{{margin:4px 0;padding-left:22px}}
dl{{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:4px 20px;margin:16px 0;font-size:15px}}
dt{{color:var(--muted)}}
dd{{margin:0;overflow-wrap:anywhere}}
details{{margin:6px 0 0}}
summary{{cursor:pointer;color:var(--link);padding:4px 0}}
.scroll{{overflow:auto;max-height:420px;border:1px solid var(--line);border-radius:6px;margin-top:6px}}
table{{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;width:100%}}
th,td{{padding:4px 12px;text-align:left;white-space:nowrap}}
thead th{{position:sticky;top:0;background:var(--band);font-weight:600}}
tbody tr+tr td{{border-top:1px solid var(--line)}}
.number{{text-align:right}}
:focus-visible{{outline:2px solid var(--link);outline-offset:2px}}
@media (max-width:{NARROW_BELOW_PX}px){{
main{{padding:16px 16px 48px}}
h1{{font-size:23px}}h2{{font-size:20px}}h3{{font-size:17px}}
dl{{grid-template-columns:minmax(0,1fr);gap:0}}dd{{margin-bottom:8px}}
}}
@media print{{details>*{{display:block}}.scroll{{max-height:none}}}}
"""
