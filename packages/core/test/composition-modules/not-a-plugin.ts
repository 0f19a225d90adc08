/** A module that has something else to offer. */
export default function memory(): number {
  return 1024;
}
