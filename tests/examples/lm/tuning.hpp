// SPDX-License-Identifier: MIT
#pragma once

#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "../workplace.hpp"

// What the tests of `tune` share: a tiny random model, and pairs to learn.

namespace tuning {

using nlohmann::json;

inline std::string const tiny = PREFER_GOLDEN_DIR "/lm_tiny/";
inline std::string const model = "--model " + tiny + "llama_tied --products eigen ";
inline constexpr char const* adapter = "adapter/adapter_model.safetensors";

/// Pairs whose chosen completion ends in one letter and the rejected one in another.
inline std::string pairs(int first, int last) {
  std::string out;
  for (int i = first; i != last; ++i) {
    std::string const n = std::to_string(i);
    out += R"({"prompt": "Number )" + n + R"( is", "chosen": " number )" + n +
           R"( yes", "rejected": " number )" + n + R"( no"})" + "\n";
  }
  return out;
}

struct workplace : prefer::test::workplace {
  workplace() : prefer::test::workplace("tune", PREFER_EXAMPLE_TUNE) {
    file("pairs.jsonl", pairs(0, 12));
    file("held-out.jsonl", pairs(20, 24));
  }
  [[nodiscard]] json summary(std::string const& out) const {
    return json::parse(content(out + "/summary.json"));
  }
  [[nodiscard]] prefer::test::outcome tune(std::string const& more) const {
    return run(model + "--data pairs.jsonl --batch 4 --quiet " + more);
  }
};

inline std::vector<std::string> lines_of(std::string const& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

}  // namespace tuning
