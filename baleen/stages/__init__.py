"""The paper's sequence: what each stage starts from, learns from, and must show (V3.2 report, sec. 2.1.1 and 3)."""
