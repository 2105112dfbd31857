// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/linear_log_prob.cuh>
#include <prefer/adapters/cuda/sort.cuh>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/plackett_luce.hpp>

#include "adapters/cuda/on_device.hpp"

// What the guide calls capturable is captured into a graph and run on new numbers in the same columns: the bits are those
// of the calls themselves.

namespace {

namespace gpu = prefer::cuda;
using namespace prefer::test;

class own_stream {
 public:
  own_stream() {
    gpu::expect_success(cudaStreamCreateWithFlags(&made_, cudaStreamNonBlocking),
                        "cudaStreamCreateWithFlags", "test");
  }
  own_stream(own_stream const&) = delete;
  own_stream& operator=(own_stream const&) = delete;
  ~own_stream() { (void)cudaStreamDestroy(made_); }
  [[nodiscard]] cudaStream_t get() const { return made_; }

 private:
  cudaStream_t made_ = nullptr;
};

/// Work on a stream, captured once.
class graph {
 public:
  template <class Work>
  graph(cudaStream_t stream, Work const& work) : stream_(stream) {
    gpu::expect_success(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal),
                        "cudaStreamBeginCapture", "test");
    work();
    cudaGraph_t captured = nullptr;
    gpu::expect_success(cudaStreamEndCapture(stream, &captured), "cudaStreamEndCapture", "test");
    gpu::expect_success(cudaGraphInstantiate(&exec_, captured, 0), "cudaGraphInstantiate", "test");
    (void)cudaGraphDestroy(captured);
  }
  graph(graph const&) = delete;
  graph& operator=(graph const&) = delete;
  ~graph() { (void)cudaGraphExecDestroy(exec_); }

  void launch() const {
    gpu::expect_success(cudaGraphLaunch(exec_, stream_), "cudaGraphLaunch", "test");
  }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t exec_ = nullptr;
};

template <class T>
void overwrite(gpu::device_column<T>& to, std::vector<T> const& numbers) {
  gpu::copy_to_device(to.data(), numbers.data(), numbers.size() * sizeof(T), to.stream(), "test");
}
std::vector<float> log_probs(std::size_t n, std::uint64_t seed) {
  dice d(seed);
  std::vector<float> out;
  for (std::size_t i = 0; i < n; ++i) out.push_back(static_cast<float>(d.log_prob()));
  return out;
}

/// Four columns of pairs that stay where they are, and what a loss says of them.
struct pairs {
  static constexpr std::size_t count = 37;
  cudaStream_t stream;
  std::vector<gpu::device_column<float>> columns;
  gpu::device_column<float> value{count, stream}, chosen{count, stream}, rejected{count, stream};
  gpu::device_column<double> loss{1, stream};

  pairs(cudaStream_t on, std::uint64_t seed) : stream(on) {
    for (std::uint64_t c = 0; c < 4; ++c) columns.emplace_back(log_probs(count, seed + c), stream);
  }
  void fill(std::uint64_t seed) {
    for (std::uint64_t c = 0; c < 4; ++c) overwrite(columns[c], log_probs(count, seed + c));
  }
  [[nodiscard]] gpu::pair_columns batch() const {
    return {.policy = {columns[0], columns[1]}, .reference = {columns[2], columns[3]}};
  }
  template <class L>
  void evaluate(L const& of, prefer::loss_state<L> const& state) {
    evaluate_into(of, batch(),
                  gpu::pair_results{.value = value, .chosen = chosen, .rejected = rejected}, state)
        .write_to(loss);
  }
  [[nodiscard]] std::vector<float> numbers() const {
    std::vector<float> out{static_cast<float>(loss.to_host()[0])};
    for (auto const* each : {&value, &chosen, &rejected}) {
      for (float const one : each->to_host()) out.push_back(one);
    }
    return out;
  }
};

template <class L>
void same_when_captured(L const& loss) {
  own_stream const stream;
  pairs captured(stream.get(), 1), called(stream.get(), 1);
  // A loss with a state has that of the first numbers, captured or not.
  prefer::loss_memory<L> memory{};
  auto const state = prepare(loss, captured.batch(), memory);
  graph const pass(stream.get(), [&] { captured.evaluate(loss, state); });
  for (std::uint64_t const seed : {1u, 50u, 90u}) {
    captured.fill(seed);
    called.fill(seed);
    pass.launch();
    called.evaluate(loss, state);
    CHECK(captured.numbers() == called.numbers());
  }
  CHECK(captured.numbers()[0] != 0.0f);
}

TEST_CASE("cuda: the loss pass runs in a graph, on new numbers each time", "[cuda][graph]") {
  same_when_captured(prefer::dpo{});
  same_when_captured(prefer::aot{});       // which sorts
  same_when_captured(prefer::kto_pair{});  // whose state is read before
}

TEST_CASE("cuda: losses over lists run in a graph", "[cuda][graph]") {
  own_stream const own;
  cudaStream_t const stream = own.get();
  gpu::device_column<float> policy(log_probs(7, 1), stream), coefficient(7, stream),
      mean(1, stream);
  gpu::device_column<float> const reference(log_probs(7, 2), stream);
  gpu::list_columns const batch{
      .policy = policy, .reference = reference, .offset = gpu::list_offsets({0, 3, 7}, stream)};
  gpu::list_results const results{.coefficient = coefficient};
  prefer::plackett_luce const loss;
  cudaGraph_t captured;
  cudaGraphExec_t step;
  // [capture]
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  evaluate_into(loss, batch, results).write_to(mean);
  cudaStreamEndCapture(stream, &captured);
  cudaGraphInstantiate(&step, captured, 0);
  // [/capture]
  overwrite(policy, log_probs(7, 3));
  REQUIRE(cudaGraphLaunch(step, stream) == cudaSuccess);
  auto const got = coefficient.to_host();
  auto const got_mean = mean.to_host();
  evaluate_into(loss, batch, results).write_to(mean);
  CHECK(got == coefficient.to_host());
  CHECK(got_mean == mean.to_host());
  CHECK(cudaGraphExecDestroy(step) == cudaSuccess);
  CHECK(cudaGraphDestroy(captured) == cudaSuccess);
}

TEST_CASE("cuda: a step from logits to their derivative runs in a graph", "[cuda][graph]") {
  own_stream const stream;
  constexpr std::size_t tokens = 6, vocabulary = 40;
  auto const logits_of = [&](std::uint64_t seed) { return log_probs(tokens * vocabulary, seed); };
  gpu::device_column<float> logits(logits_of(1), stream.get());
  gpu::device_column<float> const theirs(logits_of(2), stream.get());
  gpu::device_column<std::int32_t> const ids(std::vector<std::int32_t>{1, 2, -1, 4, 5, 39},
                                             stream.get());
  gpu::list_offsets const offset({0, 2, 2, 6}, stream.get());
  auto const room = [&](std::size_t n) { return gpu::device_column<float>(n, stream.get()); };
  auto log_prob = room(tokens), normalizer = room(tokens), divergence = room(tokens),
       reference_normalizer = room(tokens), reference_log_prob = room(tokens),
       by_token = room(tokens), of_completions = room(3), reference = room(3),
       by_completion = room(3);
  gpu::logit_rows<float> const ours{logits.data(), tokens, vocabulary};
  gpu::logit_rows<float const> const other{theirs.data(), tokens, vocabulary};
  auto const step = [&] {
    gpu::token_log_prob(as_const(ours), other, ids,
                        {.log_prob = log_prob,
                         .log_normalizer = normalizer,
                         .divergence = divergence,
                         .reference_log_prob = reference_log_prob,
                         .reference_log_normalizer = reference_normalizer});
    gpu::sum_over_tokens(log_prob, offset, of_completions);
    gpu::sum_over_tokens(reference_log_prob, offset, reference);
    (void)evaluate_into(prefer::dpo{},
                        gpu::pair_columns{.policy = {of_completions, of_completions},
                                          .reference = {reference, of_completions}},
                        gpu::pair_results{.chosen = by_completion});
    gpu::spread_over_tokens(by_completion, offset, by_token);
    gpu::token_backward(ours, other, ids, {normalizer, reference_normalizer},
                        {.log_prob = by_token, .divergence = by_token});
  };
  graph const captured(stream.get(), step);
  for (std::uint64_t const seed : {5u, 6u}) {
    overwrite(logits, logits_of(seed));
    captured.launch();
    auto const got = logits.to_host();
    auto const got_divergence = divergence.to_host();
    overwrite(logits, logits_of(seed));
    step();
    CHECK(got == logits.to_host());
    CHECK(got_divergence == divergence.to_host());
  }
}

TEST_CASE("cuda: log-probabilities from hidden states and their derivatives run in a graph",
          "[cuda][graph]") {
  own_stream const stream;
  constexpr std::size_t rows = 4, width = 5, vocabulary = 30;
  gpu::device_column<float> hidden(log_probs(rows * width, 1), stream.get());
  gpu::device_column<float> const matrix(std::vector<float>(vocabulary * width, 0.01f),
                                         stream.get());
  gpu::device_column<std::int32_t> const ids(std::vector<std::int32_t>{1, 29, 3, 0}, stream.get());
  gpu::device_column<float> const coefficient(std::vector<float>{1, 2, -1, 0}, stream.get());
  gpu::device_column<float> log_prob(rows, stream.get()), to_hidden(rows * width, stream.get());
  gpu::output_layer<float> const layer{hidden.data(), matrix.data(), rows, width, vocabulary};
  gpu::matrix_products const products;
  auto const step = [&] {
    auto const pass =
        linear_log_prob(products, layer, ids, {.log_prob = log_prob}, {.vocabulary_block = 8});
    linear_backward(products, layer, ids, pass, coefficient, {to_hidden.data()});
  };
  graph const captured(stream.get(), step);
  overwrite(hidden, log_probs(rows * width, 9));
  captured.launch();
  auto const got = log_prob.to_host(), got_gradient = to_hidden.to_host();
  step();
  CHECK(got == log_prob.to_host());
  CHECK(got_gradient == to_hidden.to_host());
}

TEST_CASE(
    "cuda: what the host takes part in is refused while a stream is captured, and the capture "
    "goes on",
    "[cuda][graph]") {
  own_stream const stream;
  pairs of(stream.get(), 4);
  auto const summed = gpu::evaluate(prefer::dpo{}, of.batch()).loss;
  std::vector<float> const numbers(3);
  gpu::list_offsets const on_the_host({0, 3});
  graph const pass(stream.get(), [&] {
    CHECK_THROWS_WITH(summed.read(),
                      "number::read: the stream is captured into a graph, in which the host reads "
                      "nothing; read when the graph has run");
    prefer::loss_memory<prefer::kto_pair> memory{};
    CHECK_THROWS_WITH(prepare(prefer::kto_pair{}, of.batch(), memory),
                      Catch::Matchers::Contains("the host reads nothing"));
    CHECK_THROWS_WITH(on_the_host.on_device(stream.get()),
                      "list_offsets: the stream is captured into a graph, in which numbers of the "
                      "host are not copied; copy them before");
    CHECK_THROWS_WITH(of.value.to_host(), Catch::Matchers::Contains("device_column::to_host"));
    of.evaluate(prefer::dpo{}, {});
  });
  pass.launch();
  CHECK(of.loss.to_host()[0] == summed.read());
}

}  // namespace
