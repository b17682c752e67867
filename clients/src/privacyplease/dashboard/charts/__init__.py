"""Charts as geometry: numbers become positions here, and templates draw them as SVG. That needs no script and no style.

Each chart is laid out twice, for wide screens and for a phone's width; the style sheet shows one of the two.
"""
