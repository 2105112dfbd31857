// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/batch/choices.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::choice_data;
using small::message_of;

TEST_CASE("choice_data: pairs have their chosen completion first", "[batch][choices]") {
  choice_data data;
  data.add_pair(4, 1, 2);
  data.add_pair(5, 2, 0);
  CHECK(data.size() == 2);
  CHECK(data.prompt == std::vector<std::uint32_t>{4, 5});
  CHECK(data.completion == std::vector<std::uint32_t>{1, 2, 2, 0});
  CHECK(data.offset == std::vector<std::size_t>{0, 2, 4});
  CHECK(data.label.empty());
}

TEST_CASE("choice_data: a pair of one completion with itself is refused and not added",
          "[batch][choices]") {
  choice_data data;
  data.add_pair(4, 1, 2);
  CHECK(message_of([&] { data.add_pair(8, 3, 3); }) ==
        "choice_data: pair 1 of prompt 8 has the same completion, 3, as chosen and as rejected");
  CHECK(data.size() == 1);
  CHECK(data.completion.size() == 2);
  CHECK(data.offset.size() == 2);
}

TEST_CASE("choice_data: labelled examples have one completion and a label", "[batch][choices]") {
  choice_data data;
  data.add_labelled(4, 1, true);
  data.add_labelled(4, 2, false);
  CHECK(data.completion == std::vector<std::uint32_t>{1, 2});
  CHECK(data.offset == std::vector<std::size_t>{0, 1, 2});
  CHECK(data.label == std::vector<float>{1, 0});
}

TEST_CASE("choice_data: a list keeps its order and is not empty", "[batch][choices]") {
  choice_data data;
  std::vector<std::uint32_t> const ranked = {3, 1, 2};
  data.add_list(4, ranked);
  CHECK(data.completion == ranked);
  CHECK(data.offset == std::vector<std::size_t>{0, 3});
  CHECK(message_of([&] { data.add_list(4, {}); }) ==
        "choice_data: a list needs at least one completion");
  CHECK(data.size() == 1);
}

TEST_CASE("choice_data: the batch of a data set is a view of it", "[batch][choices]") {
  auto const data = small::lists(5);
  auto const batch = data.batch();
  CHECK(batch.size() == 5);
  CHECK(batch.completions() == data.completion.size());
  CHECK(batch.prompt.data() == data.prompt.data());
  CHECK(batch.completion.data() == data.completion.data());
  CHECK(batch.offset.data() == data.offset.data());
  CHECK(batch.row.empty());
  CHECK_FALSE(batch.kl_examples);
}

TEST_CASE("choice_data: a kl_examples completion is that of the next example with another prompt",
          "[batch][choices]") {
  choice_data data;
  std::uint32_t const prompts[] = {0, 0, 1, 1, 1, 0};
  for (std::uint32_t i = 0; i < 6; ++i) data.add_labelled(prompts[i], 10 + i, true);
  data.pair_with_others();
  // From the last example on, the search goes round: prompt 0 finds the first example of prompt 1.
  CHECK(data.kl_examples == std::vector<std::uint32_t>{12, 12, 15, 15, 15, 12});
}

TEST_CASE("choice_data: a kl_examples completion is never one of the same prompt",
          "[batch][choices]") {
  // Every sequence of 8 examples over 3 prompts, against a search that looks at one after the other.
  for (std::uint32_t code = 0; code < 6561; ++code) {
    choice_data data;
    std::uint32_t digits = code;
    for (std::uint32_t i = 0; i < 8; ++i, digits /= 3) data.add_labelled(digits % 3, i, true);
    bool const one_prompt = code == 0 || code == 3280 || code == 6560;
    if (one_prompt) {
      REQUIRE_THROWS_AS(data.pair_with_others(), prefer::precondition_error);
      continue;
    }
    data.pair_with_others();
    for (std::size_t i = 0; i < 8; ++i) {
      std::size_t next = i;
      do next = (next + 1) % 8;
      while (data.prompt[next] == data.prompt[i]);
      if (data.kl_examples[i] != next) FAIL("code " << code << ", example " << i);
    }
  }
}

TEST_CASE("choice_data: KL examples need two prompts and labelled examples", "[batch][choices]") {
  choice_data data;
  data.pair_with_others();  // nothing to pair
  CHECK(data.kl_examples.empty());
  for (std::uint32_t i = 0; i < 3; ++i) data.add_labelled(7, i, true);
  CHECK(message_of([&] { data.pair_with_others(); }) ==
        "choice_data: KL examples need examples of at least two prompts");
  CHECK(data.kl_examples.empty());  // still whole: nothing half done

  auto pairs = small::pairs(4);
  CHECK(message_of([&] { pairs.pair_with_others(); }) ==
        "choice_data: KL examples are for labelled examples, one completion each");
}

TEST_CASE("choice_data: shapes that do not fit together are named", "[batch][choices]") {
  auto const complaint = [](auto&& change) {
    auto data = small::lists(3);  // 2 + 3 + 4 completions
    change(data);
    return message_of([&] { data.expects_shapes("here"); });
  };
  CHECK(complaint([](choice_data&) {}) == "");
  CHECK(complaint([](choice_data& d) { d.offset.clear(); }) ==
        "here: offset has 0 elements, expected 4");
  CHECK(complaint([](choice_data& d) { d.offset.pop_back(); }) ==
        "here: offset has 3 elements, expected 4");
  CHECK(complaint([](choice_data& d) { d.offset[0] = 1; }) ==
        "here: the part of completion before the first group has 1 elements, expected 0");
  CHECK(complaint([](choice_data& d) { d.offset[2] = 1; }) ==
        "here: offset falls from 2 to 1 in row 1");
  CHECK(complaint([](choice_data& d) { d.completion.push_back(0); }) ==
        "here: completion has 10 elements, expected 9");
  CHECK(complaint([](choice_data& d) { d.weight = {1}; }) ==
        "here: weight has 1 elements, expected 3");
  CHECK(complaint([](choice_data& d) { d.target_margin = {1}; }) ==
        "here: target_margin has 1 elements, expected 3");
  CHECK(complaint([](choice_data& d) { d.length.assign(3, 1.0f); }) ==
        "here: length has 3 elements, expected 9");
}

TEST_CASE("choice_data: a list has each completion once", "[batch][choices]") {
  prefer::choice_data data;
  CHECK_THROWS_WITH(data.add_list(0, std::vector<std::uint32_t>{1, 1, 2}),
                    "choice_data: list 0 of prompt 0 has completion 1 twice, in places 0 and 1");
  CHECK_THROWS_WITH(data.add_list(4, std::vector<std::uint32_t>{3, 2, 1, 2}),
                    "choice_data: list 0 of prompt 4 has completion 2 twice, in places 1 and 3");
  CHECK(data.size() == 0);
  CHECK_NOTHROW(data.add_list(4, std::vector<std::uint32_t>{3, 2, 1}));
}
