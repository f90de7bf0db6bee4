import { assertEquals } from "@std/assert";
import { toAscii } from "../../base/mod.ts";

Deno.test("toAscii() maps a name to its A-labels, and leaves ASCII and what is no name alone", () => {
  for (
    const [name, ascii] of [
      ["vm1.example", "vm1.example"],
      ["VM_1", "VM_1"],
      ["zürich.example", "xn--zrich-kva.example"],
      ["ZÜRICH.example.", "xn--zrich-kva.example."],
      ["xn--zrich-kva.example", "xn--zrich-kva.example"],
      ["xn--a", undefined],
      ["zürich/x", undefined],
      ["a@zürich", undefined],
      ["*.zürich", undefined],
      ["zürich＿", undefined],
      ["", ""],
    ] as const
  ) assertEquals(toAscii(name), ascii, name);
});
