// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/batch/minibatch.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::choice_data;
using prefer::choice_minibatch;

namespace {

template <class T>
std::vector<T> copy_of(std::span<T const> values) {
  return {values.begin(), values.end()};
}
using ids = std::vector<std::uint32_t>;
using indices = std::vector<std::size_t>;

// Three lists of 2, 1 and 3 completions, with every column.
choice_data three_lists() {
  choice_data data;
  data.add_list(7, ids{70, 71});
  data.add_list(8, ids{80});
  data.add_list(9, ids{90, 91, 92});
  data.label = {1, 0, 1};
  data.weight = {1, 2, 3};
  data.beta = {0.25f, 0.5f, 0.75f};
  data.target_margin = {4, 5, 6};
  data.length = {10, 11, 20, 30, 31, 32};
  data.kl_examples = {80, 90, 70};
  return data;
}

}  // namespace

TEST_CASE("minibatch: rows are gathered in the order that is asked for", "[train][minibatch]") {
  auto const data = three_lists();
  choice_minibatch batch;
  batch.gather(data, ids{2, 0});
  CHECK(batch.size() == 2);
  CHECK(batch.completions() == 5);
  CHECK(copy_of(batch.offset()) == indices{0, 3, 5});
  CHECK(copy_of(batch.row()) == indices{2, 0});
  CHECK(batch.data().label == std::vector<float>{1, 1});
  CHECK(batch.data().weight == std::vector<float>{3, 1});
  CHECK(batch.data().beta == std::vector<float>{0.75f, 0.25f});
  CHECK(batch.data().target_margin == std::vector<float>{6, 4});
  CHECK(batch.data().length == std::vector<float>{30, 31, 32, 10, 11});
  CHECK(batch.has_kl_examples());

  auto const all = batch.slice(0, 2);
  CHECK(copy_of(all.prompt) == ids{9, 7});
  CHECK(copy_of(all.completion) == ids{90, 91, 92, 70, 71});
  CHECK(copy_of(all.row) == indices{2, 0});
  CHECK_FALSE(all.kl_examples);
}

TEST_CASE("minibatch: a slice is a batch of its own, with offsets from 0", "[train][minibatch]") {
  auto const data = three_lists();
  choice_minibatch batch;
  batch.gather(data, ids{0, 2, 1});
  auto const slice = batch.slice(1, 2);
  CHECK(slice.size() == 2);
  CHECK(slice.completions() == 4);
  CHECK(copy_of(slice.prompt) == ids{9, 8});
  CHECK(copy_of(slice.completion) == ids{90, 91, 92, 80});
  CHECK(copy_of(slice.offset) == indices{0, 3, 4});
  CHECK(copy_of(slice.row) == indices{2, 1});

  auto const kl_examples = batch.kl_slice(1, 2);
  CHECK(kl_examples.kl_examples);
  CHECK(copy_of(kl_examples.prompt) == ids{9, 8});
  CHECK(copy_of(kl_examples.completion) == ids{70, 90});
  CHECK(copy_of(kl_examples.offset) == indices{0, 1, 2});
  CHECK(copy_of(kl_examples.row) == indices{2, 1});
}

TEST_CASE("minibatch: columns are handed over by name, cut to the groups", "[train][minibatch]") {
  auto const data = three_lists();
  choice_minibatch batch;
  batch.gather(data, ids{0, 2, 1});
  prefer::list_columns lists;
  batch.hand_over(lists, 1, 2);
  CHECK(lists.available() ==
        (prefer::column_name::length | prefer::column_name::weight | prefer::column_name::beta));
  REQUIRE(lists.length.size() == 4);  // of lists 2 and 1: lengths 30, 31, 32 and 20
  CHECK(lists.length[0] == 30.0);
  CHECK(lists.length[3] == 20.0);
  REQUIRE(lists.beta.size() == 2);
  CHECK(lists.beta[0] == 0.75);
}

TEST_CASE("minibatch: of pairs, each side is handed over its own", "[train][minibatch]") {
  choice_data data;
  for (std::uint32_t p = 0; p < 3; ++p) data.add_pair(p, 1, 2);
  data.length = {10, 11, 20, 21, 30, 31};
  data.target_margin = {4, 5, 6};
  choice_minibatch batch;
  batch.gather(data, ids{2, 0, 1});
  prefer::pair_columns pairs;
  batch.hand_over(pairs, 1, 2);
  REQUIRE(pairs.length.chosen.size() == 2);
  CHECK(pairs.length.chosen[0] == 10.0);
  CHECK(pairs.length.rejected[1] == 21.0);
  CHECK(pairs.target_margin[1] == 5.0);
  CHECK(pairs.available() == (prefer::column_name::length | prefer::column_name::target_margin));
  // Without rows every column is there and empty.
  batch.gather(data, ids{});
  prefer::pair_columns none;
  batch.hand_over(none, 0, 0);
  CHECK(none.score.present());
  CHECK(none.score.chosen.size() == 0);
}

TEST_CASE("minibatch: nothing of one batch is left in the next", "[train][minibatch]") {
  choice_minibatch batch;
  batch.gather(three_lists(), ids{0, 1, 2});
  batch.gather(small::pairs(4), ids{3});
  CHECK(batch.size() == 1);
  CHECK(copy_of(batch.offset()) == indices{0, 2});
  CHECK(batch.data().label.empty());
  CHECK(batch.data().weight.empty());
  CHECK(batch.data().beta.empty());
  CHECK(batch.data().target_margin.empty());
  CHECK(batch.data().length.empty());
  CHECK_FALSE(batch.has_kl_examples());
}

TEST_CASE("minibatch: a row may be there twice", "[train][minibatch]") {
  choice_minibatch batch;
  batch.gather(three_lists(), ids{1, 1});
  CHECK(copy_of(batch.slice(0, 2).completion) == ids{80, 80});
}

TEST_CASE("minibatch: refuses a row that the data set does not have", "[train][minibatch]") {
  choice_minibatch batch;
  auto const data = three_lists();
  CHECK(small::message_of([&] {
          batch.gather(data, ids{0, 3});
        }) == "choice_minibatch::gather: row 3 of a data set of 3");
}

TEST_CASE("minibatch: keeps its memory from batch to batch", "[train][minibatch]") {
  auto const data = three_lists();
  choice_minibatch batch;
  batch.gather(data, ids{0, 1, 2});
  auto const* const before = batch.slice(0, 3).completion.data();
  batch.gather(data, ids{2, 1});
  CHECK(batch.slice(0, 2).completion.data() == before);
}

TEST_CASE("fingerprint_of: every column of a data set counts", "[train][minibatch]") {
  auto const data = three_lists();
  auto const identity = prefer::fingerprint_of(data);
  CHECK(prefer::fingerprint_of(three_lists()) == identity);
  auto const changed = [&](auto&& change) {
    auto other = data;
    change(other);
    return prefer::fingerprint_of(other) != identity;
  };
  CHECK(changed([](choice_data& d) { d.prompt[1] = 5; }));
  CHECK(changed([](choice_data& d) { d.completion[5] = 5; }));
  CHECK(changed([](choice_data& d) { d.offset[1] = 1; }));
  CHECK(changed([](choice_data& d) { d.label[2] = 0; }));
  CHECK(changed([](choice_data& d) { d.weight[0] = 2; }));
  CHECK(changed([](choice_data& d) { d.beta[0] = 2; }));
  CHECK(changed([](choice_data& d) { d.target_margin[0] = 2; }));
  CHECK(changed([](choice_data& d) { d.length[0] = 2; }));
  CHECK(changed([](choice_data& d) { d.kl_examples[0] = 2; }));
  CHECK(changed([](choice_data& d) { std::swap(d.weight, d.label); }));
}
