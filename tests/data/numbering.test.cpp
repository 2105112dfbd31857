// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <optional>
#include <string>

#include <prefer/data/numbering.hpp>

using prefer::data::numbering;

TEST_CASE("numbering: texts are numbered in the order in which they are first seen",
          "[data][numbering]") {
  numbering names;
  CHECK(names.add("b") == 0);
  CHECK(names.add("a") == 1);
  CHECK(names.add("b") == 0);
  CHECK(names.add("") == 2);
  CHECK(names.size() == 3);
  CHECK(names.text(1) == "a");
  CHECK(names.find("a") == 1U);
  CHECK(names.find("c") == std::nullopt);
  CHECK(names.size() == 3);
}

TEST_CASE("numbering: a number that no text has is refused with both numbers",
          "[data][numbering]") {
  numbering names;
  names.add("a");
  CHECK_THROWS_WITH(names.text(1), "numbering::text: number is 1, expected less than 1");
}

TEST_CASE("numbering: a copy goes on by itself", "[data][numbering]") {
  numbering names;
  names.add("a");
  numbering copy = names;
  CHECK(copy.add("b") == 1);
  CHECK(copy.text(0) == "a");
  CHECK(names.size() == 1);
}

TEST_CASE("numbering: the fingerprint is of which number each text has", "[data][numbering]") {
  auto const identity = [](std::initializer_list<char const*> texts) {
    numbering names;
    for (auto const* each : texts) names.add(each);
    return fingerprint_of(names);
  };
  CHECK(identity({"a", "b"}) == identity({"a", "b", "a"}));
  CHECK(identity({"a", "b"}) != identity({"b", "a"}));
  CHECK(identity({"ab", "c"}) != identity({"a", "bc"}));
}
