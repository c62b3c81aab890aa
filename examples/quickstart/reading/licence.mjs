// Which licence a text is, by the words that only it has. The first that fits wins, so the order matters.

const MARKS = [
  ["Apache-2.0", /apache license\s+version 2\.0/i],
  ["MPL-2.0", /mozilla public license,?\s+(?:version|v\.)\s+2\.0/i],
  ["Unlicense", /free and unencumbered software released into the public domain/i],
  ["BlueOak-1.0.0", /blue oak model license/i],
  ["CC-BY-4.0", /creative commons attribution 4\.0/i],
  ["MIT", /permission is hereby granted, free of charge, to any person/i],
  ["ISC", /permission to use, copy, modify, and(?:\/or)? distribute this software/i],
  ["BSD-3-Clause", /redistribution and use in source and binary forms.{0,3000}neither the name/i],
  ["BSD-2-Clause", /redistribution and use in source and binary forms/i],
];

/** Where licences say their name. UTF-16 units. */
const SAMPLE = 20_000;

/** @param {string} text @returns {string | undefined} an SPDX id */
export function licenceOf(text) {
  const sample = text.slice(0, SAMPLE).replace(/\s+/g, " ");
  return MARKS.find(([, mark]) => mark.test(sample))?.[0];
}
