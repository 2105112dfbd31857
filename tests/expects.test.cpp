// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/expects.hpp>
#include <string>

TEST_CASE("refuse: throws the error that tells a caller's fault from the outside's", "[expects]") {
  CHECK_THROWS_AS(prefer::refuse("no such loss"), prefer::precondition_error);
  CHECK_THROWS_WITH(prefer::refuse("no such loss"), "no such loss");
  prefer::backend_error const failure("data::pairs", "a.jsonl:3", "not valid JSON");
  CHECK_THROWS_AS(prefer::refuse(failure), prefer::backend_error);
  CHECK_THROWS_WITH(prefer::refuse(failure), "data::pairs: a.jsonl:3: not valid JSON");
}

TEST_CASE("with_context: a refusal says whose it is; other errors pass through", "[expects]") {
  CHECK_THROWS_WITH(prefer::with_context("--set beta=-1: ", [] { prefer::refuse("must be > 0"); }),
                    "--set beta=-1: must be > 0");
  CHECK_THROWS_WITH(
      prefer::with_context("here: ", [] { prefer::refuse(prefer::backend_error("a", "b", "c")); }),
      "a: b: c");
  int calls = 0;
  prefer::with_context("here: ", [&] { ++calls; });
  CHECK(calls == 1);
}

TEST_CASE("expects: a rule that holds says nothing, and one that is broken its sentence",
          "[expects]") {
  CHECK_NOTHROW(prefer::expects(true, "never"));
  CHECK_THROWS_WITH(prefer::expects(false, "beta must be above zero"), "beta must be above zero");
  CHECK_NOTHROW(prefer::expects_size(3, 3, "f", "x"));
  CHECK_THROWS_WITH(prefer::expects_size(2, 3, "f", "x"), "f: x has 2 elements, expected 3");
}
