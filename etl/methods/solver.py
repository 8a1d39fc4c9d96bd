"""The linear solver without its banner."""

import highspy


class QuietSolver(highspy.Highs):  # type: ignore[misc]
    """HiGHS that prints nothing; the banner is written as soon as call-backs are enabled."""

    def enableCallbacks(self) -> None:
        self.setOptionValue("output_flag", False)
        super().enableCallbacks()
