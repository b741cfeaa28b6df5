"""Seconds as the pages say them: the table that both implementations are compared with."""

DURATIONS = {
    0.4: "0 s",
    89.4: "89 s",
    90: "2 min",
    150: "3 min",
    3569: "59 min",
    3570: "1 h",
    35_340: "9 h 49 min",
    360_000: "100 h",
}
