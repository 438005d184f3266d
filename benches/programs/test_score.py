"""python3 -m unittest discover benches/programs"""

import unittest

import score


def truth(memory=200 * score.MIB, cpu=10.0, wall=8.0):
    return {"peak_memory_bytes": memory, "cpu_seconds": cpu, "wall_seconds": wall}


def answer(p50=200 * score.MIB, recommended=220 * score.MIB, runs=(), low=0.9, high=1.1):
    quantiles = lambda v: {"p10": v * low, "p50": v, "p90": v * high, "p99": v * 2}
    return {
        "method": "sampled-input",
        "abstained": None,
        "shadow": {"runs": list(runs), "cpu_seconds": 0.2},
        "prediction": {
            "peak_memory_bytes": quantiles(p50),
            "cpu_seconds": quantiles(9.0),
            "wall_seconds": quantiles(8.0),
        },
        "recommend": {"memory_bytes": recommended},
    }


def run(fraction, memory, exit_code=0):
    return {
        "fraction": fraction,
        "peak_memory_bytes": memory,
        "cpu_seconds": fraction,
        "wall_seconds": fraction,
        "exit_code": exit_code,
    }


class Baselines(unittest.TestCase):
    def test_line_is_exact_on_a_line(self):
        points = [(f, 5 + 100 * f) for f in (0.01, 0.02, 0.04)]
        self.assertAlmostEqual(score.plain_least_squares(points), 105)
        self.assertAlmostEqual(score.correlated(points), 105)
        self.assertAlmostEqual(score.ratio(points), 9 / 0.04)

    def test_uncorrelated_keeps_the_largest(self):
        self.assertEqual(score.correlated([(0.01, 5), (0.02, 9), (0.03, 2), (0.04, 6)]), 9)

    def test_one_point_has_no_line(self):
        self.assertEqual(score.plain_least_squares([(0.1, 7)]), 70)
        self.assertEqual(score.correlated([(0.1, 7)]), 7)

    def test_failed_and_whole_runs_are_no_points(self):
        runs = [run(0.1, 5), run(0.1, 7), run(0.2, 9, exit_code=137), run(1.0, 50), run(None, 3)]
        self.assertEqual(score.by_fraction(runs, "peak_memory_bytes"), [(0.1, 6)])


class Scores(unittest.TestCase):
    def test_error_interval_and_share(self):
        row = score.score("a", "linear", truth(), answer(p50=210 * score.MIB), 1.0, 0.3)
        entry = row["resources"]["peak_memory_bytes"]
        self.assertAlmostEqual(entry["error"], 0.05)
        self.assertTrue(entry["hit"])
        self.assertAlmostEqual(row["shadow_cpu_share"], 0.03)
        self.assertFalse(row["recommended_below_peak"])

    def test_small_peaks_count_as_the_floor(self):
        row = score.score("a", "constant", truth(memory=score.MIB), answer(score.MIB, 32 * score.MIB), 1, 0)
        self.assertEqual(row["recommended_over_peak"], 1.0)

    def test_silence_counts_as_wholly_wrong(self):
        rows = [
            score.score("a", "linear", truth(), answer(), 1.0, 0.1),
            score.score("b", "linear", truth(), None, 1.0, 0.1),
            score.score("c", "linear", truth(), answer() | {"abstained": "why"}, 1.0, 0.1),
        ]
        summary = score.summarise(rows)
        self.assertEqual(summary["abstained"], ["b", "c"])
        self.assertEqual(summary["errors"]["peak_memory_bytes"]["median_with_abstentions"], 1.0)
        self.assertFalse(summary["targets"][0]["passed"])

    def test_off_by_two_is_named_unless_the_interval_says_so(self):
        narrow = score.score("narrow", "linear", truth(), answer(p50=500 * score.MIB), 1, 0)
        wide = score.score("wide", "linear", truth(), answer(p50=500 * score.MIB, low=0.3, high=2), 1, 0)
        silent = score.summarise([narrow, wide])["targets"][3]
        self.assertEqual(silent["value"], "narrow (memory)")
        self.assertFalse(silent["passed"])


if __name__ == "__main__":
    unittest.main()
