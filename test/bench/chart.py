"""A line chart as the text of an SVG file."""

import html
import math

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 210, 40, 50
COLOURS = ("#1b6ca8", "#d1495b", "#3d8b37", "#8d6a9f", "#c98a1b")


def svg(title, unit, series, logarithmic):
    """`series` is {name: [(x, y)…]}; x is always logarithmic, y where it is said."""
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points]
    y_ticks = powers(min(ys), max(ys)) if logarithmic else steps(max(ys))
    across = scale(xs[0], xs[-1], LEFT, WIDTH - RIGHT, math.log10)
    upwards = scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP, math.log10 if logarithmic else float)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
             'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             text(LEFT, 22, title, size=15)]
    for y in y_ticks:
        parts += [line_between(LEFT, upwards(y), WIDTH - RIGHT, upwards(y)),
                  text(LEFT - 8, upwards(y) + 4, f"{y:g}", anchor="end")]
    for x in xs:
        parts += [line_between(across(x), TOP, across(x), HEIGHT - BOTTOM),
                  text(across(x), HEIGHT - BOTTOM + 18, f"{x:,}", anchor="middle")]
    parts += [text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "employees", anchor="middle"), text(8, TOP - 6, unit)]
    for (name, points), colour in zip(series.items(), COLOURS, strict=False):
        parts += drawn(name, [(across(x), upwards(y)) for x, y in sorted(points)], colour)
    parts += legend(list(series), COLOURS)
    return "\n".join([*parts, "</svg>", ""])


def scale(low, high, begin, end, measure):
    """A function from values to places."""
    span = measure(high) - measure(low)
    return lambda value: begin + (end - begin) * ((measure(value) - measure(low)) / span if span else 0.5)


def powers(low, high):
    """Powers of ten around these."""
    return [10.0 ** n for n in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def steps(high):
    """Round numbers from 0 to above this."""
    step = 10.0 ** math.floor(math.log10(high))
    if high / step < 3:
        step /= 2
    return [step * n for n in range(math.ceil(high / step) + 1)]


def drawn(name, places, colour):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"><title>{html.escape(name)}</title></circle>'
              for x, y in places)]


def legend(names, colours):
    parts = []
    for number, (name, colour) in enumerate(zip(names, colours, strict=False)):
        y = TOP + 10 + 20 * number
        parts += [f'<rect x="{WIDTH - RIGHT + 16}" y="{y - 9}" width="12" height="12" fill="{colour}"/>',
                  text(WIDTH - RIGHT + 34, y + 1, name)]
    return parts


def line_between(x1, y1, x2, y2):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def text(x, y, content, anchor="start", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{html.escape(content)}</text>'
