"""What table.py takes for a failure: `python3 -m unittest discover tests/faults`."""

import unittest

import table

ROWS = {"F1": {"sqlite": {"violations"}, "redis": {"violations"}}, "F5": {table.ANY: {"cycles"}}}


def entry(row, store, *figures):
    return {"row": row, "store": store, "done": "something", "figures": list(figures)}


def figure(name, bound="= 0", holds=True):
    return {"name": name, "value": "0", "bound": bound, "holds": holds}


def whole():
    return [entry("F1", "sqlite", figure("violations")), entry("F1", "redis", figure("violations")), entry("F5", "-", figure("cycles"))]


class Table(unittest.TestCase):
    def test_every_figure_with_a_bound_that_holds_is_in_order(self):
        self.assertEqual(list(table.findings(whole(), ROWS)), [])

    def test_a_row_that_nothing_was_measured_for_is_a_finding(self):
        for n, named in enumerate(["F1: no bounded figure “violations” over sqlite", "F1: no bounded figure “violations” over redis", "F5: no bounded figure “cycles”"]):
            told = whole()
            told.pop(n)
            self.assertEqual(list(table.findings(told, ROWS)), [named])

    def test_a_figure_that_is_only_printed_proves_nothing(self):
        told = whole()
        told[2] = entry("F5", "-", figure("cycles", bound=None, holds=None))
        self.assertEqual(list(table.findings(told, ROWS)), ["F5: no bounded figure “cycles”"])

    def test_a_figure_outside_its_bound_is_a_finding(self):
        for holds in (False, None):
            told = [*whole(), entry("F5", "-", figure("cycles", "≥ 1000", holds))]
            self.assertEqual(list(table.findings(told, ROWS)), ["F5, something: cycles 0 is not ≥ 1000"])

    def test_a_row_that_is_not_listed_is_a_finding(self):
        self.assertEqual(list(table.findings([*whole(), entry("F99", "-", figure("x"))], ROWS)), ["F99: not in the fault list"])

    def test_every_row_of_the_fault_list_needs_a_bounded_figure(self):
        self.assertEqual(list(table.ROWS), [f"F{n}" for n in range(1, 15)])
        self.assertTrue(all(names for stores in table.ROWS.values() for names in stores.values()))


if __name__ == "__main__":
    unittest.main()
