"""What commands print: text, bars, charts and tables for people; JSON, CSV and Arrow for programs."""
