// The headline table: a click on a header sorts, a second one turns the order.

function sortTable(table, column, ascending) {
  const rows = [...table.tBodies[0].rows];
  const value = (row) => row.cells[column].dataset.value;
  rows.sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    // What is unknown stays at the end in both orders.
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = column === 0 ? x.localeCompare(y) : Number(x) - Number(y);
    return ascending ? order : -order;
  });
  table.tBodies[0].append(...rows);
  [...table.tHead.rows[0].cells].forEach((cell, place) => {
    cell.setAttribute("aria-sort", place !== column ? "none" : ascending ? "ascending" : "descending");
  });
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    cell.querySelector("button").addEventListener("click", () => {
      sortTable(table, column, cell.getAttribute("aria-sort") !== "ascending");
    });
  });
}
