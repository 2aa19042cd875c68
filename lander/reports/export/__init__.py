"""Export of the record to the formats of other tools, written with each tool's library; csv, json and jsonl need none."""
