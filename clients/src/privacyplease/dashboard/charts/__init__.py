"""The layout of charts: numbers become positions here, and templates draw them as SVG, without script or inline style.

Each chart is laid out twice, for wide screens and for phones; the style sheet shows one of the two.
"""
