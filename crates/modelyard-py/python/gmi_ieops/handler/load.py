"""Load of 0.5, which workers may calculate themselves there; ours is counted by the server."""

from .._absent import Absent

_REASON = "the server counts the calls that run, and registers with that number as its load"

LoadCalculator = Absent("LoadCalculator", _REASON)
DefaultLoadCalculator = Absent("DefaultLoadCalculator", _REASON)
get_load_calculator = Absent("get_load_calculator", _REASON)
set_load_calculator = Absent("set_load_calculator", _REASON)
calculate_load = Absent("calculate_load", _REASON)
