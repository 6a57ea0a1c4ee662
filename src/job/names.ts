/** The names of the fields of a type: each of them, and the compiler knows of none that is missing. */
export function namesOf<Fields>(
  names: Required<{ [Name in keyof Fields]: true }>,
): readonly (keyof Fields & string)[] {
  // Safe: it has these keys and no others.
  return Object.keys(names) as (keyof Fields & string)[];
}
