"""Exact little problems: sums, programs on digits, a calculator, a store of links; conversations of them."""
