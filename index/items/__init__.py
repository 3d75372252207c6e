"""From the records of a catalogue's file to items: reading, checking, and the text that stands for an item."""
