"""Words for what stands in a student's lines but not in the rule's, and for what no line shows."""

# fmt: off
LEGEND = {  # names in lines that are not those of a textbook
    "next_m": "what is kept as m for the next step",
    "next_v": "what is kept as v for the next step",
    "next_b": "what is kept as b for the next step",
    "next_G": "what is kept as G for the next step",
    "next_v_max": "what is kept as v_max for the next step",
    "t_first": "t of the first step, for ever",
    "t_each": "a count that goes on at every parameter",
    "lr_first": "the learning rate of the first step, for ever",
    "w_old": "the weights as they were before the step",
    "m_found": "what is kept as m when the step begins",
    "v_found": "what is kept as v when the step begins",
    "m_old": "m as it was before the step",
    "v_old": "v as it was before the step",
    "b_old": "b as it was before the step",
    "G_old": "G as it was before the step",
    "v_max_old": "v_max as it was before the step",
    "m_first": "m as it was before the first step",
    "v_first": "v as it was before the first step",
    "b_first": "b as it was before the first step",
    "G_first": "G as it was before the first step",
    "v_max_first": "v_max as it was before the first step",
    "fresh_m": "at the first step",
    "fresh_v": "at the first step",
    "fresh_b": "at the first step",
    "fresh_G": "at the first step",
    "cold": "1 in a run from nothing, 0 in one that is continued",
    "compounded": "all corrections so far, multiplied",
    "position": "number of the parameter, from 0",
    "last": "number of the last parameter",
    "w_other": "the parameter before this one",
    "g_other": "the gradient of the parameter before this one",
}
SAID_IN_WORDS = {  # what no line shows
    "gradient-mutated": "The gradient that the step is given is another one afterwards.",
    "state-shared-between-parameters":
        "Your numbers come out if all parameters use the same states.",
}
# fmt: on
