// Under a finger nothing moves: a button that is replaced or pushed away between down and up gets no click.

/** How long after `pointerup` a click may come: that of a touch is an event of its own. */
const CLICK_MS = 50;

/** Returns what tells whether a finger lies on `area`; calls `lifted` when none does any more. */
export function finger(area, lifted) {
  let down = false;
  let timer;
  const lift = () => {
    if (!down) return;
    clearTimeout(timer);
    timer = setTimeout(() => { down = false; lifted(); }, CLICK_MS);
  };
  area.addEventListener("pointerdown", () => { clearTimeout(timer); down = true; });
  // Wherever it is lifted; `blur`, since what ends in another window is not told here.
  for (const end of ["pointerup", "pointercancel", "blur"]) window.addEventListener(end, lift);
  return () => down;
}
