// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/model/values.hpp>
#include <prefer/policy/value_model.hpp>

#include "support/message_of.hpp"

namespace {

using namespace prefer;
using numbers = std::vector<double>;
using ids = std::vector<std::uint32_t>;

static_assert(check::value_model<prompt_values<double>, choice_batch>());
static_assert(check::value_model<state_values<float>, choice_batch>());

/// Two completions, of which the first has a state after its end.
struct two {
  token_table table;
  choice_data data;
  std::vector<std::size_t> steps = {0, 3, 6};

  two() {
    data.add_labelled(2, table.add(ids{1, 0}), true);
    data.add_labelled(0, table.add(ids{2, 2, 1}), true);
  }
};

/// Numbers 0, 1, 2, ... as values, so that what is read is its place.
template <class V>
V counted(V model) {
  double next = 0.0;
  auto const numbers_of = model.parameters();
  for (auto& each : numbers_of[0].value) each = next++;
  return model;
}

template <class V>
numbers values_of(V& model, two const& of) {
  numbers out(of.steps.back());
  model.values(of.data.batch(), of.steps, out);
  return out;
}
template <class V>
numbers gradient_of(V& model, two const& of) {
  model.backward_values(of.data.batch(), of.steps, numbers{1, 10, 100, 1000, 10'000, 100'000});
  auto const gradient = model.parameters()[0].gradient;
  return {gradient.begin(), gradient.end()};
}

}  // namespace

TEST_CASE("values: a number for each prompt, state or position", "[model]") {
  two const of;
  auto by_prompt = counted(prompt_values<double>(3));
  CHECK(values_of(by_prompt, of) == numbers{2, 2, 2, 0, 0, 0});
  CHECK(gradient_of(by_prompt, of) == numbers{111'000, 0, 111});

  auto by_state = counted(state_values<double>(3, of.table));
  CHECK(values_of(by_state, of) == numbers{2, 1, 0, 0, 2, 2});
  CHECK(gradient_of(by_state, of) == numbers{1'100, 10, 110'001});

  // Positions 0 and from 1 on.
  auto by_both = counted(state_values<double>(3, of.table, 2));
  CHECK(values_of(by_both, of) == numbers{2, 4, 3, 0, 5, 5});
  CHECK(gradient_of(by_both, of) == numbers{1'000, 0, 1, 100, 10, 110'000});
}

TEST_CASE("values: what they have no number for is refused", "[model]") {
  two const of;
  prompt_values<double> few(1);
  CHECK(test::message_of([&] { (void)values_of(few, of); }) ==
        "prompt_values: prompt is 2, expected less than 1");
  state_values<double> small(2, of.table);
  CHECK(test::message_of([&] { (void)values_of(small, of); }) ==
        "state_values: a token is 2, expected less than 2");
  two wrong;
  wrong.steps = {0, 4, 7};
  state_values<double> model(3, wrong.table);
  CHECK_THAT(test::message_of([&] { (void)values_of(model, wrong); }),
             Catch::Contains("as many steps as tokens, or one more"));
}
