// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <span>
#include <string_view>
#include <vector>

#include <prefer/lm/files/safetensors_model.hpp>
#include <prefer/lm/files/weight_changes.hpp>
#include <support/temporary_folder.hpp>

#include "support.hpp"

using namespace files_test;

namespace {

enum class lacks { nothing, value_type, touches, unties, apply };

template <lacks L>
struct with_value_type {
  using value_type = float;
};
template <>
struct with_value_type<lacks::value_type> {};

/// Doubles one tensor.
template <lacks L = lacks::nothing>
struct changes_archetype : with_value_type<L> {
  bool touches(std::string_view tensor) const
    requires(L != lacks::touches)
  {
    return tensor == "model.norm.weight";
  }
  bool unties() const
    requires(L != lacks::unties)
  {
    return false;
  }
  void apply(std::string_view tensor, std::size_t, std::span<float> rows) const
    requires(L != lacks::apply)
  {
    if (tensor != "model.norm.weight") return;
    for (float& each : rows) each *= 2;
  }
};

}  // namespace

TEST_CASE("WeightChanges: each missing member makes the concept false", "[lm][files]") {
  CHECK(lm::WeightChanges<changes_archetype<>>);
  CHECK_FALSE(lm::WeightChanges<changes_archetype<lacks::value_type>>);
  CHECK_FALSE(lm::WeightChanges<changes_archetype<lacks::touches>>);
  CHECK_FALSE(lm::WeightChanges<changes_archetype<lacks::unties>>);
  CHECK_FALSE(lm::WeightChanges<changes_archetype<lacks::apply>>);
}

TEST_CASE("WeightChanges: what a type of one's own changes is written", "[lm][files]") {
  lm::model_file const start(tiny_path("llama_tied"));
  temporary_folder const here;
  std::vector<std::string> seen;
  lm::write_safetensors_model(here / "changed", start, changes_archetype<>{},
                              {.before_tensor = [&](auto const& name) { seen.push_back(name); }});
  CHECK(seen == start.names());
  lm::model_file const changed(here / "changed");
  auto const before = numbers<float>(start, "model.norm.weight");
  auto const after = numbers<float>(changed, "model.norm.weight");
  for (std::size_t i = 0; i != before.size(); ++i) CHECK(after[i] == 2 * before[i]);
  auto const embedding = std::string("model.embed_tokens.weight");
  CHECK(numbers<float>(changed, embedding) == numbers<float>(start, embedding));
}
