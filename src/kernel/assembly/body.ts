// The start of a body; byte positions as in codec/FORMAT.md. Counters stand before the number of operators.

export const OPERATOR_COUNT: usize = 24;
export const OPERATORS_AT: usize = OPERATOR_COUNT + 4;
