"""Draws conf/observability/dashboard.json with what a Prometheus has:

    dashboard.py DASHBOARD PROMETHEUS START END OUT.svg

Every panel at its place, with its title, its unit, its highest value and up to four series of its queries.
"""

import html
import json
import sys
import urllib.parse
import urllib.request

COLUMN, ROW, STEP = 42, 13, 2
COLOURS = ["#3274d9", "#e0752d", "#56a64b", "#b877d9", "#c15c17", "#1f78c1"]


def series(prometheus, expression, start, end):
    expression = expression.replace("$namespace", ".*").replace("$pod", ".*")
    expression = expression.replace("$__rate_interval", "10s")
    query = {"query": expression, "start": start, "end": end, "step": STEP}
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def label(target, metric):
    text = target.get("legendFormat") or ""
    for name, value in metric.items():
        text = text.replace("{{" + name + "}}", value).replace("{{ " + name + " }}", value)
    return text


def panel(panel, prometheus, start, end):
    place = panel["gridPos"]
    x, y = place["x"] * COLUMN, place["y"] * ROW
    width, height = place["w"] * COLUMN, place["h"] * ROW
    title = html.escape(panel["title"])
    if panel["type"] == "row":
        return [f'<text x="{x + 4}" y="{y + 11}" class="row">{title}</text>']
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit") or ""
    out = [
        f'<rect x="{x + 2}" y="{y + 2}" width="{width - 4}" height="{height - 4}" class="panel"/>',
        f'<text x="{x + 8}" y="{y + 14}" class="title">{title}</text>',
    ]
    lines = []
    for target in panel.get("targets", []):
        for found in series(prometheus, target["expr"], start, end):
            points = [(float(t), float(v)) for t, v in found["values"] if v != "NaN"]
            lines.append((label(target, found["metric"]), points))
    most = max((v for _, points in lines for _, v in points), default=0)
    top = most or 1
    unit = "" if unit == "short" else unit
    left, right, high, low = x + 10, x + width - 10, y + 24, y + height - 20
    out.append(f'<text x="{right}" y="{y + 14}" class="note" text-anchor="end">max {most:.4g} {unit}</text>')
    out.append(f'<path d="M{left} {low}H{right}" class="axis"/>')
    for number, (name, points) in enumerate(lines[:4]):
        colour = COLOURS[number % len(COLOURS)]
        path, before = "", None
        for t, v in points:
            px = left + (t - start) / (end - start) * (right - left)
            py = low - v / top * (low - high)
            gap = before is None or t - before > 2 * STEP
            path += f"{'M' if gap else 'L'}{px:.0f} {py:.0f}"
            before = t
        out.append(f'<path d="{path}" stroke="{colour}"/>')
        at = left + number * (right - left) / max(len(lines[:4]), 1)
        out.append(f'<text x="{at:.0f}" y="{y + height - 7}" class="note" fill="{colour}">{html.escape(name)}</text>')
    if not lines:
        out.append(f'<text x="{left}" y="{low - 4}" class="note">no data</text>')
    return out


def main(dashboard, prometheus, start, end, out):
    with open(dashboard, encoding="utf-8") as file:
        panels = json.load(file)["panels"]
    bottom = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels) * ROW
    text = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * COLUMN} {bottom}" font-family="sans-serif">',
        "<style>.panel{fill:#fff;stroke:#ccc}.row{font-size:12px;font-weight:bold}.title{font-size:11px}"
        ".note{font-size:9px}.axis{stroke:#ccc}path{fill:none;stroke-width:1.2}</style>",
        f'<rect width="{24 * COLUMN}" height="{bottom}" fill="#f4f5f5"/>',
    ]
    for one in panels:
        text += panel(one, prometheus, float(start), float(end))
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(text + ["</svg>\n"]))


main(*sys.argv[1:])
