/** The request is at fault, not the reader: answered with a 4xx. */
export class Refusal extends Error {
  constructor(message, status = 422) {
    super(message);
    this.status = status;
  }
}
